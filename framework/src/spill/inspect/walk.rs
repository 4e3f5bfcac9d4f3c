//! A walk over everything in a store, in order, that changes nothing and names what is damaged or missing.

use std::collections::VecDeque;
use std::ops::Range;

use super::{Inspection, Segment};
use crate::batch::Batch;
use crate::spill::SpillError;
use crate::spill::record::{Record, decode, slice};
use crate::spill::salvage::Salvage;
use crate::spill::segment::Reader;
use crate::spill::storage::Opened;

/// How much is read at once, in bytes.
const READ_BYTES: u64 = 4 << 20;

/// What a walk comes across.
#[derive(Debug)]
pub enum Sight {
    /// A record that is whole; what of it lies behind the walk's beginning.
    Record {
        /// The first position of its segment.
        segment: u64,
        /// Its batches, with the position of the first frame of each, ascending; their receipts are none.
        batches: Vec<(u64, Batch)>,
    },
    /// Something about a segment does not fit. What can still be read of it follows.
    Damaged {
        /// Its first position.
        segment: u64,
        /// What does not fit.
        why: String,
    },
    /// Frames that should be there and are not; of format 1 there may have been fewer.
    Missing {
        /// The first position of the segment that should have them, if there is one.
        segment: Option<u64>,
        /// Their positions.
        positions: Range<u64>,
    },
    /// Frames that the store gave up on purpose when it was full (`drop_oldest`). Some of them may have been settled before.
    Dropped {
        /// Their positions.
        positions: Range<u64>,
    },
    /// A segment was settled and deleted while it was to be looked at.
    Gone {
        /// Its first position.
        segment: u64,
    },
}

/// See [`Inspection::walk`]. It ends behind the first error: when the operating system refuses. Blocks while it reads.
#[derive(Debug)]
pub struct Walk<'a> {
    store: &'a Inspection,
    /// Which segment.
    index: usize,
    open: Option<Opened>,
    /// Everything before it was seen, or is known not to be there.
    next: u64,
    /// Nothing from here on is to be seen.
    to: u64,
    /// Something was damaged since the last whole record.
    in_doubt: bool,
    seen: VecDeque<Sight>,
}

impl Iterator for Walk<'_> {
    type Item = Result<Sight, SpillError>;

    fn next(&mut self) -> Option<Self::Item> {
        let store = self.store;
        loop {
            if let Some(sight) = self.seen.pop_front() {
                return Some(Ok(sight));
            }
            let Some(segment) = store.segments.get(self.index).filter(|_| self.next < self.to) else {
                let behind = self.dropped_behind().or_else(|| self.missing_behind());
                return behind.map(Ok);
            };
            if store.end_of(self.index).is_some_and(|end| end <= self.next) {
                self.leave();
            } else if let Err(why) = self.read_on(segment)
                && let Err(error) = self.doubt(segment, why)
            {
                self.to = self.next;
                return Some(Err(error));
            }
        }
    }
}

impl<'a> Walk<'a> {
    pub(super) fn new(store: &'a Inspection, from: u64) -> Self {
        Self {
            store,
            index: 0,
            open: None,
            next: from,
            to: u64::MAX,
            in_doubt: false,
            seen: VecDeque::new(),
        }
    }

    /// The same, but only what lies before `position`.
    #[must_use]
    pub fn to(mut self, position: u64) -> Self {
        self.to = position;
        self
    }

    fn read_on(&mut self, segment: &Segment) -> Result<(), SpillError> {
        let end = self.store.end_of(self.index).unwrap_or(u64::MAX);
        let opened = match self.open.take() {
            Some(opened) => opened,
            None => self.open_segment(segment)?,
        };
        let read = self
            .open
            .insert(opened)
            .read(self.next.max(segment.first), end, READ_BYTES)?;
        for (key, value) in read.records {
            if self.next >= self.to {
                return Ok(());
            }
            let record = decode(key, &value).map_err(|source| SpillError::Record {
                position: key,
                path: segment.path.clone(),
                source,
            })?;
            self.take(segment, key, record, end)?;
        }
        if !read.more {
            self.check_end(segment)?;
            self.leave();
        }
        Ok(())
    }

    fn open_segment(&self, segment: &Segment) -> Result<Opened, SpillError> {
        let disk = &*self.store.disk;
        if segment.written {
            return Ok(Opened::Salvaged(Salvage::of(disk, &segment.path)?));
        }
        Ok(Opened::Tree(Reader::open_file(disk, segment.path.clone())?))
    }

    fn take(&mut self, segment: &Segment, key: u64, record: Record, end: u64) -> Result<(), SpillError> {
        let unsaid = if self.in_doubt { key } else { self.next };
        let after = record.after.unwrap_or(unsaid);
        if after > self.next {
            if after > segment.first && matches!(self.open, Some(Opened::Tree(_))) {
                return Err(SpillError::Misfit {
                    path: segment.path.clone(),
                    what: "lacks a record",
                });
            }
            self.miss(after.min(self.to));
        }
        let (record_end, to) = (record.end(), end.min(self.to));
        let batches: Vec<_> = record
            .batches
            .into_iter()
            .filter_map(|at| part(at, self.next, to))
            .collect();
        if let Some((position, batch)) = batches.last() {
            self.next = position + batch.len() as u64;
            self.in_doubt = false;
            let segment = segment.first;
            self.seen.push_back(Sight::Record { segment, batches });
        }
        if record_end >= self.to {
            self.next = self.next.max(self.to);
        }
        Ok(())
    }

    /// Frames up to `to` should be there and are not, some of them perhaps on purpose.
    fn miss(&mut self, to: u64) {
        let gone = &self.store.gone;
        while self.next < to {
            let from = self.next;
            if let Some(end) = gone.end_at(from) {
                self.next = end.min(to);
                let positions = from..self.next;
                self.seen.push_back(Sight::Dropped { positions });
            } else {
                self.next = gone.next_behind(from).map_or(to, |first| first.min(to));
                self.lack(from..self.next);
            }
        }
    }

    fn lack(&mut self, positions: Range<u64>) {
        let holder = self
            .store
            .segments
            .iter()
            .rev()
            .find(|segment| segment.first <= positions.start);
        self.seen.push_back(Sight::Missing {
            segment: holder.map(|segment| segment.first),
            positions,
        });
    }

    /// What was dropped behind the last segment.
    fn dropped_behind(&mut self) -> Option<Sight> {
        let gone = &self.store.gone;
        let inside = gone.end_at(self.next).map(|_| self.next);
        let first = inside.or_else(|| gone.next_behind(self.next))?;
        let positions = first..gone.end_at(first)?.min(self.to);
        if positions.is_empty() {
            return None;
        }
        self.next = positions.end;
        Some(Sight::Dropped { positions })
    }

    /// What was there when the last run ended, and no segment has any more.
    fn missing_behind(&mut self) -> Option<Sight> {
        let positions = self.next..self.store.ended().min(self.to);
        if positions.is_empty() {
            return None;
        }
        self.next = positions.end;
        Some(Sight::Missing {
            segment: None,
            positions,
        })
    }

    /// A segment must end where it says, or a record at its end is missing.
    fn check_end(&mut self, segment: &Segment) -> Result<(), SpillError> {
        match (&self.open, self.store.sealed.end_of(segment.first)) {
            (Some(Opened::Tree(_)), Some(end)) if self.next < end => Err(SpillError::Misfit {
                path: segment.path.clone(),
                what: "ends before its last commit did",
            }),
            (Some(Opened::Salvaged(_)), Some(end)) => {
                self.miss(end.min(self.to));
                Ok(())
            }
            (Some(Opened::Tree(reader)), None) => reader.end().map(drop),
            _ => Ok(()),
        }
    }

    /// Something about a segment does not fit: from here on its records are looked for one by one.
    fn doubt(&mut self, segment: &Segment, why: SpillError) -> Result<(), SpillError> {
        if !why.is_damage() {
            return Err(why);
        }
        let disk = &*self.store.disk;
        match Salvage::of(disk, &segment.path) {
            Ok(salvage) if !matches!(self.open, Some(Opened::Salvaged(_))) => {
                self.seen.push_back(Sight::Damaged {
                    segment: segment.first,
                    why: why.to_string(),
                });
                self.in_doubt = true;
                self.open = Some(Opened::Salvaged(salvage));
                Ok(())
            }
            Err(error) if error.is_missing() => {
                self.seen.push_back(Sight::Gone { segment: segment.first });
                self.next = self.next.max(self.store.end_of(self.index).unwrap_or(0));
                self.leave();
                Ok(())
            }
            Ok(_) => Err(why),
            Err(error) => Err(error),
        }
    }

    fn leave(&mut self) {
        self.index += 1;
        self.open = None;
    }
}

/// What of a batch lies between `from` and `to`.
fn part((position, batch): (u64, Batch), from: u64, to: u64) -> Option<(u64, Batch)> {
    let end = position + batch.len() as u64;
    let (low, high) = (position.max(from), end.min(to));
    if low >= high {
        return None;
    }
    if (low, high) == (position, end) {
        return Some((position, batch));
    }
    Some((
        low,
        slice(&batch, (low - position) as usize, (high - position) as usize),
    ))
}
