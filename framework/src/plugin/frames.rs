//! The frames of a batch, handed to a processor one after the other.

use std::ops::Range;

use super::Output;
use crate::batch::{Batch, Frame};

/// The frames of a batch that a processor has not finished yet. Every one of them must be taken, in order.
pub struct Frames<'a> {
    batch: &'a Batch,
    from: usize,
    next: usize,
    end: usize,
}

impl<'a> Frames<'a> {
    /// All frames of `batch`.
    pub fn new(batch: &'a Batch) -> Self {
        Self::between(batch, 0, batch.len())
    }

    /// The frames `from .. to` of `batch`.
    pub(crate) fn between(batch: &'a Batch, from: usize, to: usize) -> Self {
        Self {
            batch,
            from,
            next: from,
            end: to.min(batch.len()),
        }
    }

    /// The next frame. What is emitted until the next call belongs to it, and is taken back when it fails.
    pub fn next(&mut self, out: &mut Output) -> Option<Frame<'a>> {
        let frame = (self.next < self.end).then(|| self.batch.frame(self.next))?;
        out.begin(self.next);
        self.next += 1;
        Some(frame)
    }

    /// Takes the next `count` frames, or as many as are left, and emits them as they are on the main output.
    pub fn keep(&mut self, count: usize, out: &mut Output) {
        let taken = self.take(count, out);
        out.keep_all(taken);
    }

    /// Takes the next `count` frames, or as many as are left, and emits them as they are on a declared output.
    pub fn send(&mut self, count: usize, output: &str, out: &mut Output) {
        let taken = self.take(count, out);
        out.send_all(output, taken);
    }

    /// Takes the next `count` frames, or as many as are left, and emits nothing: they are filtered out.
    pub fn skip(&mut self, count: usize, out: &mut Output) {
        self.take(count, out);
    }

    /// Index of the frame taken last; before any is taken, of the one that comes first.
    pub fn current(&self) -> usize {
        self.next.saturating_sub(1).max(self.from)
    }

    /// The batch they come from.
    pub fn batch(&self) -> &'a Batch {
        self.batch
    }

    /// Indices in [`Frames::batch`] of the frames not taken yet.
    pub fn rest(&self) -> Range<usize> {
        self.next..self.end
    }

    /// How many frames are not taken yet.
    pub fn left(&self) -> usize {
        self.end - self.next
    }

    fn take(&mut self, count: usize, out: &mut Output) -> Range<usize> {
        let taken = self.next..self.end.min(self.next.saturating_add(count));
        self.next = taken.end;
        if !taken.is_empty() {
            out.begin(self.current());
        }
        taken
    }
}
