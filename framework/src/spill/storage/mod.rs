//! The blocking storage object: one owner, no threads inside.

mod peek;
mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;

pub use peek::Glass;
pub use read::Found;

use super::cursor::Cursor;
use super::folder::{Folder, allocated_bytes};
use super::quarantine::Quarantine;
use super::record::Packer;
use super::segment::{Reader, Writer};
use super::{SpillError, SpillOptions};
use crate::batch::Batch;

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
    /// Frames set aside in quarantine since the store was opened.
    pub quarantined: u64,
}

/// A store's files.
#[derive(Debug)]
pub struct Storage {
    folder: Folder,
    cursor: Cursor,
    quarantine: Quarantine,
    segment_bytes: u64,
    commit_bytes: u64,
    /// First position -> allocated bytes, of segments that are only read.
    closed: BTreeMap<u64, u64>,
    reader: Option<(u64, Reader)>,
    writer: Option<Writer>,
    packer: Packer,
    /// The position behind the last durable frame.
    tail: u64,
    /// The position behind the last appended frame.
    appended: u64,
}

impl Storage {
    /// Opens the store in `options.directory`, or creates it. Takes milliseconds, whatever its size: older segments are looked at
    /// when they are read. A newest segment that cannot be opened is set aside.
    ///
    /// # Errors
    /// When another process uses the directory, when a newer version wrote it, or when the operating system refuses.
    pub fn open(options: &SpillOptions) -> Result<(Self, Recovered), SpillError> {
        let folder = Folder::open(&options.directory)?;
        let cursor = Cursor::open(&folder.path().join("main.cursor"))?;
        let firsts = folder.segments()?;
        folder.sync()?;
        let closed = firsts
            .into_iter()
            .map(|first| (first, allocated_bytes(&folder.segment(first))));
        let segment_bytes = options.segment_bytes.min(options.max_bytes / SEGMENTS_AT_LEAST);
        let mut storage = Self {
            closed: closed.collect(),
            quarantine: Quarantine::of(folder.path()),
            segment_bytes,
            commit_bytes: options.commit_bytes.min(segment_bytes),
            reader: None,
            writer: None,
            packer: Packer::default(),
            tail: 0,
            appended: 0,
            folder,
            cursor,
        };
        let tail = storage.find_tail()?;
        let settled = storage.cursor.position();
        storage.tail = tail.max(settled);
        storage.appended = storage.tail;
        let lowest = storage.closed.keys().next().copied().unwrap_or(storage.tail);
        let settled = settled.max(lowest).min(storage.tail);
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
        self.cursor.store(position)?;
        let mut settled = Vec::new();
        for first in self.closed.keys().copied() {
            if self.end_of(first) <= position {
                settled.push(first);
            }
        }
        let retire = self.writer.as_ref().is_some_and(|writer| {
            writer.is_published()
                && writer.tail() <= position
                && self.appended == self.tail
                && writer.bytes() > self.commit_bytes
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
    /// When the file cannot be deleted.
    pub fn drop_oldest_segment(&mut self, range: Range<u64>) -> Result<Option<Range<u64>>, SpillError> {
        let oldest = self
            .closed
            .range(range.start..)
            .next()
            .map(|(first, _)| *first..self.end_of(*first))
            .filter(|gone| gone.end <= range.end && !gone.is_empty());
        if let Some(gone) = &oldest {
            self.delete(&[gone.start])?;
        }
        Ok(oldest)
    }

    /// The most that should be appended between two commits, in payload bytes: no commit is larger than a segment.
    pub fn commit_bytes(&self) -> u64 {
        self.commit_bytes
    }

    /// What the store takes now.
    pub fn usage(&self) -> Usage {
        let writer = self.writer.as_ref().map_or(0, Writer::bytes);
        Usage {
            bytes: self.closed.values().sum::<u64>() + writer,
            segments: (self.closed.len() + usize::from(self.writer.is_some())) as u64,
            quarantined: self.quarantine.frames(),
        }
    }

    /// Closes the files. What was appended and not committed is undone.
    ///
    /// # Errors
    /// When the newest segment cannot be closed in order; its committed frames are safe.
    pub fn close(mut self) -> Result<(), SpillError> {
        if let Some((_, reader)) = self.reader.take() {
            reader.close();
        }
        match self.writer.take() {
            Some(writer) => writer.close(),
            None => Ok(()),
        }
    }

    fn try_append(&mut self, position: u64, batch: &Batch) -> Result<(), SpillError> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(Writer::create(&self.folder, position, self.commit_bytes)?),
        };
        self.packer
            .push(position, batch, &mut |key, value| writer.insert(key, value))?;
        self.appended = position + batch.len() as u64;
        Ok(())
    }

    fn try_commit(&mut self) -> Result<(), SpillError> {
        let Some(writer) = &mut self.writer else {
            return Ok(());
        };
        self.packer.flush(&mut |key, value| writer.insert(key, value))?;
        writer.commit(&self.folder, self.appended)?;
        self.tail = self.appended;
        if writer.bytes() >= self.segment_bytes
            && let Some(writer) = self.writer.take()
        {
            self.shelve(writer);
        }
        Ok(())
    }

    fn undo_on_error(&mut self, done: Result<(), SpillError>) -> Result<(), SpillError> {
        if done.is_err() {
            self.packer.clear();
            self.appended = self.tail;
            if let Some(writer) = self.writer.take() {
                self.shelve(writer);
            }
        }
        done
    }

    /// Closes a segment that is not written any more. One that never had a commit is removed.
    fn shelve(&mut self, writer: Writer) {
        let (first, published, path) = (writer.first(), writer.is_published(), writer.path().to_owned());
        // Whatever a failed close leaves unfinished is repaired when the segment is read.
        let _ = writer.close();
        if published {
            self.closed.insert(first, allocated_bytes(&path));
        } else {
            let _ = fs::remove_file(path);
        }
    }

    /// The position behind the last frame of the newest segment that can be opened.
    fn find_tail(&mut self) -> Result<u64, SpillError> {
        let mut end = None;
        while let Some(first) = self.closed.keys().next_back().copied() {
            let path = self.folder.segment(first);
            let opened = Reader::open(&path).and_then(|reader| Ok((reader.tail()?, reader)));
            match opened {
                Ok((tail, reader)) => {
                    self.reader = Some((first, reader));
                    return Ok(tail.max(first).min(end.unwrap_or(u64::MAX)));
                }
                Err(why) => {
                    self.quarantine.segment(&path, first..end.unwrap_or(first), &why)?;
                    self.closed.remove(&first);
                    end = Some(first);
                }
            }
        }
        Ok(end.unwrap_or(0))
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
        for first in firsts {
            if self.reader.as_ref().is_some_and(|(open, _)| open == first)
                && let Some((_, reader)) = self.reader.take()
            {
                reader.close();
            }
            let path = self.folder.segment(*first);
            fs::remove_file(&path).map_err(|error| SpillError::io("delete", &path, error))?;
            self.closed.remove(first);
        }
        self.folder.sync()
    }
}
