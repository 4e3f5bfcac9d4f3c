//! The blocking storage object: one owner, no threads inside.

mod ages;
mod damage;
mod gone;
mod open;
mod peek;
mod ranges;
mod read;
mod reserve;
mod retain;
mod run;
mod sealed;
mod stray;
mod streams;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;

pub use open::Recovered;
pub use peek::Glass;
pub use read::Found;

pub(super) use self::damage::Opened;
pub(super) use self::gone::Gone;
use self::reserve::Reserve;
pub(super) use self::run::last_run;
pub(super) use self::sealed::Sealed;
pub(super) use self::stray::elsewhere;
use super::SpillError;
use super::cursor::Cursor;
use super::folder::Folder;
use super::named::{self, Named};
use super::quarantine::{Damage, Quarantine};
use super::record::Packer;
use super::segment::Writer;
use super::streams::Streams;
use crate::batch::StreamId;
use crate::seeded::{self, Bug};

/// What a store takes and what it had to give up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Allocated bytes of its segments.
    pub bytes: u64,
    /// How many segments.
    pub segments: u64,
    /// Frames known to be lost in damaged segments since the store was opened.
    pub quarantined: u64,
    /// Damaged segments found since the store was opened.
    pub damaged: u64,
    /// Those of them whose end is lost too: how many frames stood there nobody knows.
    pub ends_lost: u64,
    /// Files deleted from the quarantine since then, because it was full.
    pub quarantine_deleted: u64,
    /// Something could not be set aside: damaged segments stay beside the others, with `.damaged` behind their names.
    pub quarantine_unusable: bool,
}

/// A store's files.
#[derive(Debug)]
pub struct Storage {
    folder: Folder,
    cursor: Cursor,
    named: Named,
    /// The named cursors as they were found.
    found: Vec<named::Recovered>,
    ages: ages::Ages,
    run: run::Run,
    /// Frames that stood at the end when the last run ended in order, and are missing.
    end_missing: u64,
    read_only: bool,
    quarantine: Quarantine,
    reserve: Reserve,
    segment_bytes: u64,
    commit_bytes: u64,
    /// By first position: the segments that are only read.
    closed: BTreeMap<u64, Closed>,
    reader: Option<(u64, Opened)>,
    writer: Option<Writer>,
    /// Allocated bytes of the segment that is written.
    writer_bytes: u64,
    /// What was appended since the last commit went down with its segment.
    undone: bool,
    gone: Gone,
    sealed: Sealed,
    /// Reads that failed one after the other.
    failed_reads: u32,
    quarantined: u64,
    damaged: u64,
    /// Segments whose end was lost: positions may be given twice.
    ends_lost: u64,
    packer: Packer,
    streams: Streams,
    /// How far streams are with what was appended since the last commit.
    noted: BTreeMap<StreamId, u64>,
    stream: Option<StreamId>,
    /// When it was opened, in seconds since 1970, and not before any stream came last.
    opened_s: u64,
    opened: Instant,
    /// The position behind the last durable frame.
    tail: u64,
    /// The position behind the last appended frame.
    appended: u64,
}

/// A segment that is only read.
#[derive(Debug, Default)]
struct Closed {
    /// Allocated bytes.
    bytes: u64,
    /// Set once something was found wrong: then its records are looked for one by one, and it goes to quarantine when it is settled.
    damage: Option<Damage>,
    /// It has been looked whether it is where its records say.
    vetted: bool,
    /// It counts as gone, but its file could not be deleted yet.
    given_up: bool,
}

impl Storage {
    /// Makes the cursor durable and deletes the segments below it. A position lower than before changes nothing.
    ///
    /// # Errors
    /// The cursor then stands where it stood, or a settled segment is left for later.
    pub fn settle(&mut self, position: u64) -> Result<(), SpillError> {
        match self.cursor.store(position) {
            // A file system that copies what is written in place needs space for that.
            Err(error) if error.is_full() && self.reserve.give_up(&self.folder) => self.cursor.store(position)?,
            stored => stored?,
        }
        self.gone.forget(&self.folder, position);
        self.vet(position)?;
        let mut settled = Vec::new();
        for first in self.closed.keys().copied() {
            let early = u64::from(seeded::has(Bug::DeleteUnsettledSegment));
            if self.end_of(first) <= position + early {
                settled.push(first);
            }
        }
        let retire = self.writer.as_ref().is_some_and(|writer| {
            writer.is_published()
                && writer.tail() <= position
                && self.appended == self.tail
                && self.writer_bytes > self.commit_bytes
        });
        if retire && let Some(writer) = self.writer.take() {
            settled.push(writer.first());
            self.shelve(writer);
        }
        self.delete(&settled)
    }

    /// Deletes the oldest closed segment whose frames all lie within `range`, and says which positions are gone.
    ///
    /// # Errors
    /// When it cannot be read now, it cannot be noted that it is gone, or one that went before cannot be deleted: it is not gone, then.
    pub fn drop_oldest_segment(&mut self, range: Range<u64>) -> Result<Option<Range<u64>>, SpillError> {
        if self.read_only {
            // Nothing can be deleted, so nothing is given up for it.
            return Ok(None);
        }
        let left = self.closed.iter().filter(|(_, closed)| closed.given_up);
        // While files stay, giving up more makes no room.
        self.delete(&left.map(|(first, _)| *first).collect::<Vec<_>>())?;
        self.vet(range.end)?;
        let oldest = self
            .closed
            .range(range.start..)
            .next()
            .map(|(first, _)| *first..self.end_of(*first))
            .filter(|gone| gone.end <= range.end && !gone.is_empty());
        if let Some(gone) = &oldest {
            // Only the segment itself tells that nothing is missing right before it.
            let noted = self.follows(gone.start)?..gone.end;
            // So that the next start does not miss it.
            if self.closed.keys().next() == Some(&gone.start) {
                self.cursor.store(gone.end)?;
                self.gone.note_passed(&noted);
            } else {
                self.gone.note(&self.folder, &noted)?;
            }
            // It is gone now for whoever reads; a file that cannot be deleted is tried again.
            if self.delete(&[gone.start]).is_err()
                && let Some(left) = self.closed.get_mut(&gone.start)
            {
                left.given_up = !seeded::has(Bug::GivenUpStillRead);
            }
        }
        Ok(oldest)
    }

    /// The most that should be appended between two commits, in payload bytes: no commit is larger than a segment. Less once a
    /// file size limit (`EFBIG`) was met.
    pub fn commit_bytes(&self) -> u64 {
        self.commit_bytes
    }

    /// What the store takes now.
    pub fn usage(&self) -> Usage {
        let writer = self.writer.as_ref().map_or(0, |_| self.writer_bytes);
        Usage {
            bytes: self.closed.values().map(|closed| closed.bytes).sum::<u64>() + writer,
            segments: (self.closed.len() + usize::from(self.writer.is_some())) as u64,
            quarantined: self.quarantined,
            damaged: self.damaged,
            ends_lost: self.ends_lost,
            quarantine_deleted: self.quarantine.deleted(),
            quarantine_unusable: self.quarantine.is_unusable(),
        }
    }

    /// Frames, at most, that are not settled and stood in segments that somebody has deleted. What is read before the store is closed may still
    /// come; the rest is gone then.
    pub fn deleted_frames(&self) -> u64 {
        let written = self.writer.as_ref().filter(|writer| writer.is_published());
        let written = written.map(|writer| writer.first()..writer.tail());
        let closed = self.readable().map(|first| first..self.end_of(first));
        let deleted = closed.chain(written).filter(|range| {
            let path = self.folder.segment(range.start);
            self.folder.check_named(&path).is_err()
        });
        let settled = self.cursor.position();
        deleted
            .map(|range| range.end.saturating_sub(range.start.max(settled)))
            .sum()
    }

    /// Bytes the disk still has; none when it does not say.
    pub fn free_bytes(&self) -> Option<u64> {
        aqueduct_sys::file::free_bytes(self.folder.path()).ok()
    }

    /// Closes the files. What was appended and not committed is undone.
    ///
    /// # Errors
    /// When the newest segment cannot be closed in order; its committed frames are safe.
    pub fn close(mut self) -> Result<(), SpillError> {
        self.try_seal();
        self.reader = None;
        self.ages.note_at_end(self.folder.disk());
        let closed = self.writer.take().map_or(Ok(()), Writer::close);
        self.run.end(self.folder.disk(), self.tail);
        closed
    }

    /// The closed segments that somebody may read, ascending.
    fn readable(&self) -> impl Iterator<Item = u64> {
        let there = self.closed.iter().filter(|(_, closed)| !closed.given_up);
        there.map(|(first, _)| *first)
    }

    /// The position behind what may be read from a closed segment: what a failed commit left behind it is covered by the next one.
    fn end_of(&self, first: u64) -> u64 {
        let next = self.closed.range(first + 1..).next().map(|(next, _)| *next);
        let writer = self.writer.as_ref().map(Writer::first);
        next.or(writer).unwrap_or(self.tail)
    }

    fn delete(&mut self, firsts: &[u64]) -> Result<(), SpillError> {
        if firsts.is_empty() {
            return Ok(());
        }
        let knows = self.writer.as_ref().is_some_and(Writer::is_published);
        if !knows && self.closed.keys().all(|first| firsts.contains(first)) {
            self.keep_streams()?;
        }
        for first in firsts {
            if self.reader.as_ref().is_some_and(|(open, _)| open == first) {
                self.reader = None;
            }
            let path = self.folder.segment(*first);
            match self.closed.get(first).and_then(|closed| closed.damage.as_ref()) {
                Some(_) => self.quarantine.keep(&path)?,
                None => self.folder.remove(&path)?,
            }
            self.sealed.forget(&self.folder, *first);
            self.closed.remove(first);
            self.ages.forget(*first);
        }
        self.folder.sync()
    }
}
