//! The blocking storage object: one owner, no threads inside.

mod damage;
mod gone;
mod peek;
mod read;
mod reserve;
mod retain;
mod sealed;
mod stray;
mod streams;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

pub use peek::Glass;
pub use read::Found;

pub(super) use self::damage::Opened;
pub(super) use self::gone::Gone;
use self::reserve::Reserve;
pub(super) use self::sealed::Sealed;
pub(super) use self::stray::elsewhere;
use super::cursor::Cursor;
use super::disk::{Disk, System};
use super::folder::{Folder, STREAMS_FORMAT};
use super::named::{self, Named};
use super::quarantine::{Damage, Quarantine};
use super::record::Packer;
use super::segment::Writer;
use super::streams::Streams;
use super::{SpillError, SpillOptions};
use crate::batch::{Batch, StreamId};
use crate::seeded::{self, Bug};
use crate::spill::Persist;

/// A store that is full must be able to give space back by whole segments: it has at least this many.
const SEGMENTS_AT_LEAST: u64 = 4;

/// What an opened store found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The position up to which all is settled.
    pub settled: u64,
    /// The position behind the last durable frame.
    pub tail: u64,
    /// Frames waiting on disk (at most: ranges that were settled out of order are counted too).
    pub frames: u64,
    /// Bytes its segments take on disk.
    pub bytes: u64,
}

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
    ages: retain::Ages,
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
}

impl Storage {
    /// Opens the store in `options.directory`, or creates it. Takes milliseconds, whatever its size: older segments are looked at
    /// when they are read. A newest segment that cannot be opened is set aside.
    ///
    /// # Errors
    /// When another process uses the directory, when a newer version wrote it, or when the operating system refuses.
    pub fn open(options: &SpillOptions) -> Result<(Self, Recovered), SpillError> {
        Self::open_on(Arc::new(System), options)
    }

    /// The same on another disk than the system's.
    ///
    /// # Errors
    /// Those of [`Storage::open`].
    pub fn open_on(disk: Arc<dyn Disk>, options: &SpillOptions) -> Result<(Self, Recovered), SpillError> {
        let folder = Folder::open(disk.clone(), &options.directory)?;
        let cursor = Cursor::open(&*disk, &folder.path().join("main.cursor"))?;
        let (named, found) = Named::open(&*disk, folder.path())?;
        let firsts = folder.segments()?;
        let reserve = Reserve::open(&folder);
        folder.sync()?;
        let closed = firsts.into_iter().map(|first| {
            let bytes = folder.allocated_bytes(&folder.segment(first));
            let closed = Closed {
                bytes,
                ..Closed::default()
            };
            (first, closed)
        });
        let most_bytes = options.retention.map_or(options.max_bytes, |retention| retention.bytes);
        let segment_bytes = options.segment_bytes.min(most_bytes / SEGMENTS_AT_LEAST);
        let mut storage = Self {
            closed: closed.collect(),
            quarantine: Quarantine::of(disk, folder.path(), options.quarantine_bytes),
            reserve,
            segment_bytes,
            commit_bytes: options.commit_bytes.min(segment_bytes),
            reader: None,
            writer: None,
            writer_bytes: 0,
            undone: false,
            gone: Gone::of(folder.disk(), folder.path())?,
            sealed: Sealed::of(folder.disk(), folder.path())?,
            failed_reads: 0,
            quarantined: 0,
            damaged: 0,
            ends_lost: 0,
            packer: Packer::default(),
            streams: Streams::default(),
            noted: BTreeMap::new(),
            stream: None,
            tail: 0,
            appended: 0,
            folder,
            cursor,
            named,
            found,
            ages: retain::Ages::default(),
        };
        storage.sealed.forget_all_but(&storage.folder, storage.closed.keys());
        let furthest = storage.found.iter().map(|cursor| cursor.position).max();
        let tail = storage.find_tail()?.max(storage.gone.end()).max(furthest.unwrap_or(0));
        let settled = storage.cursor.position();
        storage.tail = tail.max(settled);
        storage.appended = storage.tail;
        storage.packer.restart(storage.tail);
        let lowest = storage.closed.keys().next().copied().unwrap_or(storage.tail);
        // What lies between the cursor and the first segment is missing, unless the cursor may have been further.
        let passed = if storage.cursor.was_whole() { 0 } else { lowest };
        let mut settled = settled.max(passed).min(storage.tail);
        if seeded::has(Bug::RepeatSegmentAtStart) {
            settled = lowest.min(storage.tail);
        }
        storage.find_streams();
        if !storage.streams.is_empty() {
            storage.folder.require(STREAMS_FORMAT)?;
        }
        if options.persist == Persist::Always {
            let none_left = storage.closed.is_empty() && !storage.cursor.was_whole();
            storage.name_stream(storage.ends_lost > 0 || none_left);
        }
        if seeded::has(Bug::DamagedCursorAtEnd) {
            let damaged = storage.found.iter_mut().filter(|cursor| !cursor.whole);
            damaged.for_each(|cursor| cursor.position = storage.tail);
        }
        let recovered = Recovered {
            settled,
            tail: storage.tail,
            frames: storage.tail - settled,
            bytes: storage.usage().bytes,
        };
        Ok((storage, recovered))
    }

    /// Adds a batch behind what was appended before; it is durable after the next [`Storage::commit`]. Its receipt is not touched.
    ///
    /// # Errors
    /// What was appended since the last commit is undone, and the segment is not written any more.
    pub fn append(&mut self, position: u64, batch: &Batch) -> Result<(), SpillError> {
        let done = self.try_append(position, batch);
        self.undo_on_error(done)
    }

    /// Makes everything appended durable and returns the position behind it.
    ///
    /// # Errors
    /// What was appended since the last commit is undone: it may or may not be on disk, and is not read from there.
    pub fn commit(&mut self) -> Result<u64, SpillError> {
        let done = self.try_commit();
        self.undo_on_error(done)?;
        Ok(self.tail)
    }

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
    /// When it cannot be read now, or it cannot be noted that it is gone: it is not, then.
    pub fn drop_oldest_segment(&mut self, range: Range<u64>) -> Result<Option<Range<u64>>, SpillError> {
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
            // It is gone now for whoever reads; a file that cannot be deleted is when it is settled.
            let _ = self.delete(&[gone.start]);
        }
        Ok(oldest)
    }

    /// The most that should be appended between two commits, in payload bytes: no commit is larger than a segment.
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
        let closed = self.closed.keys().map(|first| *first..self.end_of(*first));
        let deleted = closed.chain(written).filter(|range| {
            let path = self.folder.segment(range.start);
            self.folder.check_named(&path).is_err()
        });
        let settled = self.cursor.position();
        deleted
            .map(|range| range.end.saturating_sub(range.start.max(settled)))
            .sum()
    }

    /// Closes the files. What was appended and not committed is undone.
    ///
    /// # Errors
    /// When the newest segment cannot be closed in order; its committed frames are safe.
    pub fn close(mut self) -> Result<(), SpillError> {
        self.try_seal();
        self.reader = None;
        match self.writer.take() {
            Some(writer) => writer.close(),
            None => Ok(()),
        }
    }

    fn try_append(&mut self, position: u64, batch: &Batch) -> Result<(), SpillError> {
        self.check_undone()?;
        let rolled_over = self.writer.is_none() && !self.closed.is_empty();
        if seeded::has(Bug::LoseBatchAtRollover) && rolled_over {
            self.closed.remove(&position);
            self.writer = Some(Writer::create(&self.folder, position, self.commit_bytes)?);
            self.appended = position + batch.len() as u64;
            return Ok(());
        }
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => {
                // A segment that begins there was named, and never confirmed: the new one takes its name.
                if self.closed.remove(&position).is_some() {
                    self.reader = None;
                }
                self.writer_bytes = 0;
                self.sealed.forget(&self.folder, position);
                none.insert(Writer::create(&self.folder, position, self.commit_bytes)?)
            }
        };
        self.packer
            .push(position, batch, &mut |key, value| writer.insert(key, value))?;
        if let Some(place) = batch.position {
            self.note_stream(place.behind(batch.len()))?;
        }
        self.appended = position + batch.len() as u64;
        Ok(())
    }

    fn try_commit(&mut self) -> Result<(), SpillError> {
        self.check_undone()?;
        let first = self.writer.as_ref().is_some_and(|writer| !writer.is_published());
        let changes = self.changes(first);
        let Some(writer) = &mut self.writer else {
            return Ok(());
        };
        if !seeded::has(Bug::TailWithoutLastRecord) || self.writer_bytes < self.segment_bytes / 2 {
            self.packer.flush(&mut |key, value| writer.insert(key, value))?;
        }
        writer.commit(&self.folder, self.appended, &changes)?;
        // A file that has lost its name takes all that is written, and gives nothing back after a restart.
        self.folder.check_named(writer.path())?;
        self.streams.committed(&changes.marks, &changes.gone);
        self.noted.clear();
        self.sealed.is_covered();
        self.tail = self.appended;
        self.writer_bytes = self.folder.allocated_bytes(writer.path());
        self.reserve.renew(&self.folder);
        if self.writer_bytes >= self.segment_bytes
            && let Some(writer) = self.writer.take()
        {
            self.shelve(writer);
        }
        Ok(())
    }

    /// An error when something appended since the last commit is gone.
    fn check_undone(&mut self) -> Result<(), SpillError> {
        if !std::mem::take(&mut self.undone) || seeded::has(Bug::ForgetUndone) {
            return Ok(());
        }
        let lost = std::io::Error::other("its segment turned out damaged; it is written again to a new one");
        Err(SpillError::io("commit to", self.folder.path(), lost))
    }

    fn undo_on_error(&mut self, done: Result<(), SpillError>) -> Result<(), SpillError> {
        if done.is_err() && !seeded::has(Bug::GoOnAfterFailedWrite) {
            self.packer.restart(self.tail);
            self.noted.clear();
            self.appended = self.tail;
            if let Some(writer) = self.writer.take() {
                let (first, end) = (writer.first(), writer.tail());
                self.shelve(writer);
                // One that begins at its end has nothing confirmed in it: the next one takes its name.
                if first < end {
                    self.seal(first, end);
                }
            }
        }
        done
    }

    /// Closes a segment that is not written any more. One that never had a commit is removed.
    fn shelve(&mut self, writer: Writer) {
        let (first, published, path) = (writer.first(), writer.is_published(), writer.path().to_owned());
        // Whatever a failed close leaves unfinished is put in order when the segment is read.
        let _ = writer.close();
        if published {
            let bytes = self.folder.allocated_bytes(&path);
            let closed = Closed {
                bytes,
                damage: None,
                vetted: true,
            };
            self.closed.insert(first, closed);
        } else {
            // What cannot be removed now is removed at the next start.
            let _ = self.folder.remove(&path);
        }
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
        }
        self.folder.sync()
    }
}
