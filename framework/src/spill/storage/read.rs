//! Reading in order across segments; what is damaged is set aside, the rest comes out.

use super::Storage;
use crate::batch::Batch;
use crate::spill::SpillError;
use crate::spill::record::{decode, slice};
use crate::spill::segment::{Reader, Records};

/// What a read found.
#[derive(Debug, Default)]
pub struct Found {
    /// Batches with their positions, ascending; their receipts are none.
    pub batches: Vec<(u64, Batch)>,
    /// Everything from where the read began up to here is covered. Positions in between without a batch were settled before they were
    /// written, or are unreadable.
    pub next: u64,
    /// How many frames were unreadable (at most).
    pub unreadable: u64,
}

impl Storage {
    /// Reads the durable frames from `from` on, below `to`, until they have `bytes` of payload or more; at least one record.
    /// A batch never ends where another one begins before `to`: what crosses a bound is cut.
    ///
    /// # Errors
    /// When the operating system refuses. Damage is no error: it is set aside, counted, and passed over.
    pub fn read(&mut self, from: u64, to: u64, bytes: u64) -> Result<Found, SpillError> {
        let to = to.min(self.tail);
        let mut found = Found {
            next: from,
            ..Found::default()
        };
        let mut taken = 0;
        while found.next < to && taken < bytes.max(1) {
            let Some((first, end)) = self.segment_for(found.next) else {
                found.next = to;
                break;
            };
            found.next = found.next.max(first);
            let until = end.min(to);
            match self.records(first, found.next, until, bytes.saturating_sub(taken)) {
                Ok(records) => taken += self.take(first, until, records, &mut found)?,
                Err(why) => self.set_aside(first, end, why, &mut found)?,
            }
        }
        found.next = found.next.min(to.max(from));
        Ok(found)
    }

    /// The segment that holds `position`, or else the next one, with the position at which it ends.
    pub(super) fn segment_for(&self, position: u64) -> Option<(u64, u64)> {
        let writer = self
            .writer
            .as_ref()
            .filter(|writer| writer.is_published())
            .map(|writer| (writer.first(), writer.tail()));
        let closed = self.closed.keys().map(|first| (*first, self.end_of(*first)));
        closed.chain(writer).find(|(_, end)| *end > position)
    }

    fn records(&mut self, first: u64, from: u64, to: u64, bytes: u64) -> Result<Records, SpillError> {
        if let Some(writer) = self.writer.as_ref().filter(|writer| writer.first() == first) {
            return writer.read(from, to, bytes);
        }
        if self.reader.as_ref().is_none_or(|(open, _)| *open != first) {
            if let Some((_, reader)) = self.reader.take() {
                reader.close();
            }
            self.reader = Some((first, Reader::open(&self.folder.segment(first))?));
        }
        match &self.reader {
            Some((_, reader)) => reader.read(from, to, bytes),
            None => Ok(Records::default()),
        }
    }

    /// Decodes records into `found`; returns their payload bytes.
    fn take(&mut self, first: u64, until: u64, read: Records, found: &mut Found) -> Result<u64, SpillError> {
        let mut taken = 0;
        let keys: Vec<u64> = read.records.iter().map(|(key, _)| *key).skip(1).collect();
        let ends = keys.into_iter().chain([read.next_key.unwrap_or(until)]);
        for ((key, value), end) in read.records.into_iter().zip(ends) {
            match decode(key, &value) {
                Ok(batches) => {
                    for (position, batch) in batches {
                        taken += found.push(position, batch, until);
                    }
                }
                Err(_) if end <= found.next => {}
                Err(source) => {
                    let start = key.max(found.next);
                    let path = self.folder.segment(first);
                    let why = SpillError::Record {
                        position: key,
                        path,
                        source,
                    };
                    self.quarantine.record(start..end, &value, &why)?;
                    found.unreadable += end - start;
                }
            }
            found.next = found.next.max(end.min(until));
        }
        if read.next_key.is_none() {
            found.next = until;
        }
        Ok(taken)
    }

    /// The rest of a segment cannot be read: it goes to quarantine, reading goes on behind it.
    fn set_aside(&mut self, first: u64, end: u64, why: SpillError, found: &mut Found) -> Result<(), SpillError> {
        if !why.is_damage() {
            return Err(why);
        }
        if let Some((_, reader)) = self.reader.take() {
            reader.close();
        }
        if self.writer.as_ref().is_some_and(|writer| writer.first() == first)
            && let Some(writer) = self.writer.take()
        {
            self.packer.clear();
            self.shelve(writer);
        }
        let path = self.folder.segment(first);
        self.quarantine.segment(&path, found.next..end, &why)?;
        self.closed.remove(&first);
        self.folder.sync()?;
        found.unreadable += end.saturating_sub(found.next);
        found.next = end;
        Ok(())
    }
}

impl Found {
    /// Adds what of the batch lies between `next` and `until`; returns its payload bytes.
    fn push(&mut self, position: u64, batch: Batch, until: u64) -> u64 {
        let end = position + batch.len() as u64;
        let (low, high) = (self.next.max(position), end.min(until));
        if low >= high {
            return 0;
        }
        let part = if (low, high) == (position, end) {
            batch
        } else {
            slice(&batch, (low - position) as usize, (high - position) as usize)
        };
        let bytes = part.payload.len() as u64;
        self.batches.push((low, part));
        self.next = high;
        bytes
    }
}
