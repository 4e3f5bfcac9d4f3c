//! Finds a text in the frames of a batch by looking through the whole payload.

use std::ops::Range;

use aqueduct_framework::batch::Batch;
use memchr::memmem::Finder;

/// The first of the frames at `range` that contains the text; a text that begins in one frame and ends in another, or
/// in the framing's bytes between them, is in none.
pub(super) fn next_with(finder: &Finder<'_>, batch: &Batch, range: Range<usize>) -> Option<usize> {
    let last = range.end.checked_sub(1)?;
    let (mut at, end) = (batch.span(range.start).start, batch.span(last).end);
    let mut index = range.start;
    while let Some(found) = finder.find(&batch.payload[at..end]) {
        let start = at + found;
        index += frames_before(&batch.ends[index..range.end], start);
        let span = batch.span(index);
        let frame = span.start + batch.layout.head as usize..span.end - batch.layout.tail as usize;
        if frame.start <= start && start + finder.needle().len() <= frame.end {
            return Some(index);
        }
        at = start + 1;
    }
    None
}

/// How many of these frames end at or before `start`: near ones are found in a few steps.
fn frames_before(ends: &[u32], start: usize) -> usize {
    let before = |end: &u32| *end as usize <= start;
    let mut reach = 1;
    while ends.get(reach - 1).is_some_and(before) {
        reach *= 2;
    }
    let known = reach / 2;
    known + ends[known..ends.len().min(reach)].partition_point(before)
}
