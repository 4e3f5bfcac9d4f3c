//! The read-ahead: batches read back from disk, waiting for demand.

use std::collections::VecDeque;

use crate::batch::Batch;
use crate::spill::record::slice;

/// Batches from disk, in order.
#[derive(Debug, Default)]
pub(super) struct ReadAhead {
    batches: VecDeque<(u64, Batch)>,
    bytes: u64,
    /// Everything below was read.
    next: u64,
    /// Where the read under way began.
    reading: Option<u64>,
    /// The read under way is of no use any more.
    stale: bool,
}

impl ReadAhead {
    /// The cost of the batches, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn is_reading(&self) -> bool {
        self.reading.is_some()
    }

    /// Where the next read begins, when the line goes on at `hand`.
    pub(super) fn next(&self, hand: u64) -> u64 {
        self.next.max(hand)
    }

    pub(super) fn begin(&mut self, from: u64) {
        (self.reading, self.stale) = (Some(from), false);
    }

    /// The read under way has ended: where it began, unless it is of no use.
    pub(super) fn end(&mut self) -> Option<u64> {
        self.reading.take().filter(|_| !self.stale)
    }

    pub(super) fn extend(&mut self, batches: Vec<(u64, Batch)>, next: u64) {
        self.bytes += batches.iter().map(|(_, batch)| batch.cost() as u64).sum::<u64>();
        self.batches.extend(batches);
        self.next = next;
    }

    /// The first batch, without its frames below `position`.
    pub(super) fn front(&mut self, position: u64) -> Option<&(u64, Batch)> {
        while let Some((first, batch)) = self.batches.front_mut() {
            let end = *first + batch.len() as u64;
            if end <= position {
                self.bytes -= batch.cost() as u64;
                self.batches.pop_front();
                continue;
            }
            if *first < position {
                let part = slice(batch, (position - *first) as usize, batch.len());
                self.bytes = self.bytes - batch.cost() as u64 + part.cost() as u64;
                (*first, *batch) = (position, part);
            }
            break;
        }
        self.batches.front()
    }

    pub(super) fn pop(&mut self) -> Option<(u64, Batch)> {
        let (position, batch) = self.batches.pop_front()?;
        self.bytes -= batch.cost() as u64;
        Some((position, batch))
    }

    /// Forgets everything, also what is on its way.
    pub(super) fn clear(&mut self) {
        self.batches.clear();
        (self.bytes, self.next, self.stale) = (0, 0, true);
    }
}
