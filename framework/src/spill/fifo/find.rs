//! Where a position is: for those who look for one frame.

use std::ops::Range;

use super::Fifo;
use crate::batch::Batch;

/// Where an unsettled position is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// It was handed down and is not settled.
    pub handed: bool,
    /// A copy is in memory.
    pub memory: bool,
    /// It is durable.
    pub disk: bool,
    /// Positions that are handed down before it.
    pub ahead: u64,
}

impl Fifo {
    /// Shows the unsettled batches in memory from `from` on, with their positions, until about `bytes` of payload were
    /// shown. Returns where to go on; none behind the last.
    pub fn show(&self, from: u64, bytes: u64, mut show: impl FnMut(u64, &Batch)) -> Option<u64> {
        let mut shown = 0;
        for entry in self.memory.from(from) {
            if shown >= bytes {
                return Some(entry.position);
            }
            if let Some(batch) = &entry.batch {
                shown += batch.payload.len() as u64;
                show(entry.position, batch);
            }
        }
        None
    }

    /// The positions of which nothing but the copy on disk may be left here. Some of them may have settled.
    pub fn on_disk_only(&self) -> Range<u64> {
        self.flight.settled()..self.memory.first().min(self.committed)
    }

    /// Where a position is; none once it is settled, and for those that have not come.
    pub fn place(&self, position: u64) -> Option<Place> {
        if position >= self.memory.tail() || self.flight.is_settled(position) {
            return None;
        }
        let handed = self.flight.is_handed(position);
        Some(Place {
            handed,
            memory: position >= self.memory.first(),
            disk: position < self.committed,
            ahead: self.flight.unsettled_in(self.hand..position),
        })
    }
}
