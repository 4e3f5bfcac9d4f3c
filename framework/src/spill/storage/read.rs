//! Reading in order across segments; what is damaged is set aside, the rest comes out.

use bytes::Bytes;

use super::Storage;
use crate::batch::Batch;
use crate::seeded::{self, Bug};
use crate::spill::SpillError;
use crate::spill::record::slice;
use crate::spill::segment::Records;

/// What a read found.
#[derive(Debug, Default)]
pub struct Found {
    /// Batches with their positions, ascending; their receipts are none.
    pub batches: Vec<(u64, Batch)>,
    /// Everything from where the read began up to here is covered. Positions in between without a batch were settled before they were
    /// written, or are lost.
    pub next: u64,
    /// How many frames are lost: they should have been there.
    pub unreadable: u64,
}

/// How far a read has come.
struct Step {
    /// Where to look next; what lies between `Found::next` and here is a gap.
    at: u64,
    /// Payload bytes so far.
    taken: u64,
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
        let mut step = Step { at: from, taken: 0 };
        while found.next < to && step.taken < bytes.max(1) {
            if step.at >= to {
                self.close_gap(to, &mut step, &mut found)?;
                continue;
            }
            self.vet(step.at)?;
            let Some((first, end)) = self.segment_for(step.at) else {
                step.at = to;
                continue;
            };
            if let Err(why) = self.read_segment(first, end.min(to), bytes, &mut step, &mut found) {
                if seeded::has(Bug::PassOverDamage) {
                    (step.at, found.next) = (end, end.min(to));
                    continue;
                }
                if seeded::has(Bug::StopAtDamage) {
                    return Ok(found);
                }
                self.doubt(first, why)?;
                step.at = found.next;
            }
        }
        self.failed_reads = 0;
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
        let closed = self.readable().map(|first| (first, self.end_of(first)));
        if seeded::has(Bug::NewestSegmentFirst) {
            return closed.chain(writer).filter(|(_, end)| *end > position).last();
        }
        closed.chain(writer).find(|(_, end)| *end > position)
    }

    fn records(&mut self, first: u64, from: u64, to: u64, bytes: u64) -> Result<Records, SpillError> {
        match self.writer.as_ref().filter(|writer| writer.first() == first) {
            Some(writer) => writer.read(from, to, bytes),
            None => self.opened(first)?.read(from, to, bytes),
        }
    }

    /// Reads on in one segment, up to `until`.
    fn read_segment(
        &mut self,
        first: u64,
        until: u64,
        bytes: u64,
        step: &mut Step,
        found: &mut Found,
    ) -> Result<(), SpillError> {
        let from = step.at.max(first);
        let read = self.records(first, from, until, bytes.saturating_sub(step.taken))?;
        for (key, value) in read.records {
            let record = self.decode(first, key, &value)?;
            let after = record.after.unwrap_or(0);
            if after > found.next && !self.lose(after, step, found)? {
                return Ok(());
            }
            for (position, batch) in record.batches {
                step.taken += found.push(position, batch, until);
            }
            step.at = step.at.max(found.next);
        }
        if !read.more {
            step.at = step.at.max(until);
        }
        Ok(())
    }

    /// Frames up to `to` should have been there. False when the segment that should have them is looked through first.
    fn lose(&mut self, to: u64, step: &mut Step, found: &mut Found) -> Result<bool, SpillError> {
        while found.next < to {
            if let Some(end) = self.gone.end_at(found.next) {
                found.next = end.min(to);
                continue;
            }
            let end = self.gone.next_behind(found.next).map_or(to, |first| first.min(to));
            let holder = self.segment_for(found.next).map(|(first, _)| first);
            let holder = holder.filter(|first| *first < end);
            if let Some(first) = holder.filter(|first| !self.is_damaged(*first)) {
                self.doubt(
                    first,
                    self.misfit(first, "lacks a record, unless a segment behind it has gone"),
                )?;
                step.at = found.next;
                return Ok(false);
            }
            self.note_lost(holder, end - found.next);
            found.unreadable += end - found.next;
            found.next = end;
        }
        Ok(true)
    }

    /// Nothing more was found below `to`. The record behind says whether there should have been.
    fn close_gap(&mut self, to: u64, step: &mut Step, found: &mut Found) -> Result<(), SpillError> {
        let missing = match self.record_behind(to)? {
            Some((first, key, value)) => match self.decode(first, key, &value) {
                Ok(record) => record.after.unwrap_or(found.next).min(to),
                Err(why) => {
                    self.doubt(first, why)?;
                    step.at = found.next;
                    return Ok(());
                }
            },
            None => to,
        };
        if missing > found.next && !self.lose(missing, step, found)? {
            return Ok(());
        }
        found.next = to;
        Ok(())
    }

    fn record_behind(&mut self, position: u64) -> Result<Option<(u64, u64, Bytes)>, SpillError> {
        let mut at = position;
        while let Some((first, end)) = self.segment_for(at) {
            let behind = match self.writer.as_ref().filter(|writer| writer.first() == first) {
                Some(writer) => writer.first_from(position),
                None => self.opened(first).and_then(|opened| opened.first_from(position)),
            };
            match behind {
                Ok(Some((key, value))) => return Ok(Some((first, key, value))),
                Ok(None) => at = end,
                Err(why) => self.doubt(first, why)?,
            }
        }
        Ok(None)
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
