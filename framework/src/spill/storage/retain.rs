//! What a store does for named cursors: their files, and segments that are older than is retained.

use std::ops::Range;
use std::sync::Arc;

use super::{Glass, Storage};
use crate::spill::folder::CURSORS_FORMAT;
use crate::spill::segment::Writer;
use crate::spill::{SpillError, named};

/// When segments begin and end, as far as that was asked for: one closed one, and the one that is written.
#[derive(Debug, Default)]
pub(super) struct Ages {
    oldest: Option<(u64, u64)>,
    written: Option<(u64, u64)>,
}

impl Storage {
    /// The named cursors as they were found when the store was opened.
    pub fn named(&self) -> &[named::Recovered] {
        &self.found
    }

    /// Makes a named cursor, durable when this returns.
    ///
    /// # Errors
    /// When the operating system refuses; the cursor may be there at the next start.
    pub fn make_named(&mut self, name: &Arc<str>, position: u64) -> Result<(), SpillError> {
        // First: a program that does not know cursors must not deliver past them.
        self.folder.require(CURSORS_FORMAT)?;
        self.named.make(self.folder.disk(), name, position)
    }

    /// Removes a named cursor for good; false when there is none of that name. What only it needed goes at the next start.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn forget_named(&mut self, name: &str) -> Result<bool, SpillError> {
        self.named.forget(self.folder.disk(), name)
    }

    /// Makes the position of a named cursor durable. A lower one than before changes nothing.
    ///
    /// # Errors
    /// The cursor then stands where it stood.
    pub fn settle_named(&mut self, name: &str, position: u64) -> Result<(), SpillError> {
        match self.named.store(name, position) {
            Err(error) if error.is_full() && self.reserve.give_up(&self.folder) => self.named.store(name, position),
            stored => stored,
        }
    }

    /// Deletes the oldest segment when it ends at `to` or before and its newest frame came before `before_ns`, in nanoseconds since 1970, and says which positions are gone. A
    /// segment that is written and began before `began_ns` is closed, so that it can go some day.
    ///
    /// # Errors
    /// When the file cannot be deleted.
    pub fn expire(&mut self, to: u64, before_ns: u64, began_ns: u64) -> Result<Option<Range<u64>>, SpillError> {
        if self.written_since().is_some_and(|since| since < began_ns)
            && self.appended == self.tail
            && let Some(writer) = self.writer.take_if(|writer| writer.is_published())
        {
            self.shelve(writer);
        }
        let Some(oldest) = self.readable().next() else {
            return Ok(None);
        };
        let end = self.end_of(oldest);
        if end <= to && self.newest_in(oldest, end).is_some_and(|newest| newest < before_ns) {
            return self.drop_oldest_segment(oldest..to);
        }
        Ok(None)
    }

    /// When the first frame of the segment that is written came. One that is not known is not old.
    fn written_since(&mut self) -> Option<u64> {
        let first = self
            .writer
            .as_ref()
            .filter(|writer| writer.is_published())
            .map(Writer::first)?;
        if let Some((known, since)) = self.ages.written
            && known == first
        {
            return Some(since);
        }
        let since = self.came(first, first + 1)?;
        self.ages.written = Some((first, since));
        Some(since)
    }

    /// When the last frame of a closed segment came; where that cannot be read, when the file was written last.
    fn newest_in(&mut self, first: u64, end: u64) -> Option<u64> {
        if let Some((known, newest)) = self.ages.oldest
            && known == first
        {
            return Some(newest);
        }
        let written = || self.folder.disk().modified_ns(&self.folder.segment(first));
        let newest = self.came(end.saturating_sub(1), end).or_else(written)?;
        self.ages.oldest = Some((first, newest));
        Some(newest)
    }

    /// When the frame at a position came, or the one before `end` that is on record.
    fn came(&self, at: u64, end: u64) -> Option<u64> {
        let mut glass = Glass::default();
        let peeked = self.peek(at, &mut glass);
        glass.close();
        let batches = peeked.batches.iter().filter(|(position, _)| *position < end);
        let (_, batch) = batches.last()?;
        Some(match batch.wait.since_ns {
            0 => batch.received_ns,
            since => since,
        })
    }
}
