//! What a store does for named cursors: their files, and segments that are older than is retained.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::Storage;
use crate::spill::folder::CURSORS_FORMAT;
use crate::spill::{SpillError, named};

/// The share of `retain_age` after which a segment that is written is closed.
const AGE_SHARE: u32 = 4;

impl Storage {
    /// The named cursors as they were found when the store was opened.
    pub fn named(&self) -> &[named::Recovered] {
        &self.found
    }

    /// Another store beside this one that the same actor used before, and that still has segments.
    pub fn left_behind(&self) -> Option<&Path> {
        self.run.left_behind()
    }

    /// The epoch of the numbers that sources in front of it give in this run, in nanoseconds since 1970: that of the system's clock, but later than those of
    /// all earlier runs, so that no number is given twice when the clock was set back.
    pub fn epoch(&self) -> u64 {
        self.run.epoch()
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

    /// Deletes the oldest segment when it ends at `to` or before and its newest frame was written longer ago than `age`, by the store's own clock (see
    /// `ages.rs`), and says which positions are gone. A segment that is written and began a quarter of it ago is closed, so that it can go some day.
    ///
    /// # Errors
    /// When the file cannot be deleted.
    pub fn expire(&mut self, to: u64, age: Duration) -> Result<Option<Range<u64>>, SpillError> {
        self.ages.note_at_times(self.folder.disk());
        if self.ages.began_before(age / AGE_SHARE)
            && self.appended == self.tail
            && let Some(writer) = self.writer.take_if(|writer| writer.is_published())
        {
            self.shelve(writer);
        }
        let Some(oldest) = self.readable().next() else {
            return Ok(None);
        };
        if self.end_of(oldest) <= to && self.ages.ended_before(oldest, age) {
            return self.drop_oldest_segment(oldest..to);
        }
        Ok(None)
    }

    /// Lets time pass for [`Storage::expire`]: for tests.
    pub fn grow_older(&mut self, by: Duration) {
        self.ages.grow_older(by);
    }
}
