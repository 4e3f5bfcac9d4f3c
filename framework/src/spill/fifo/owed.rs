//! Receipts of batches that are durable and whose issuer waits until they are delivered.

use std::collections::VecDeque;
use std::ops::Range;

use super::Fifo;
use crate::receipt::{Fate, Receipt};

#[cfg(test)]
mod tests;

/// In the order of their positions. How many there may be is bounded by whoever waits.
#[derive(Debug, Default)]
pub(super) struct Owed {
    entries: VecDeque<(Range<u64>, Receipt, Fate)>,
}

impl Owed {
    /// The batch at these positions is durable; they lie behind those of the one before.
    pub(super) fn push(&mut self, positions: Range<u64>, receipt: Receipt) {
        self.entries.push_back((positions, receipt, Fate::Delivered));
    }

    /// Some of these positions had such a fate.
    pub(super) fn note(&mut self, positions: &Range<u64>, fate: Fate) {
        let begin = self.entries.partition_point(|(range, ..)| range.end <= positions.start);
        let touched = self.entries.range_mut(begin..);
        for (_, _, worst) in touched.take_while(|(range, ..)| range.start < positions.end) {
            *worst = fate.max(*worst);
        }
    }

    /// The first one, once all of its positions are settled.
    pub(super) fn take_settled(&mut self, unsettled: impl Fn(Range<u64>) -> u64) -> Option<(Receipt, Fate)> {
        let (range, ..) = self.entries.front()?;
        if unsettled(range.clone()) > 0 {
            return None;
        }
        self.take_kept()
    }

    /// The first one, whatever became of it: it stays on disk.
    pub(super) fn take_kept(&mut self) -> Option<(Receipt, Fate)> {
        let (_, receipt, fate) = self.entries.pop_front()?;
        Some((receipt, fate))
    }
}

impl Fifo {
    /// What is not settled of these positions is gone; how many that were.
    pub(super) fn lose(&mut self, positions: Range<u64>) -> u64 {
        let lost = self.flight.mark(positions.clone());
        if lost > 0 {
            self.owed.note(&positions, Fate::Rejected);
            self.settle_owed();
        }
        lost
    }

    /// Settles those of which nothing is left to be delivered.
    pub(super) fn settle_owed(&mut self) {
        let flight = &self.flight;
        while let Some(settled) = self.owed.take_settled(|positions| flight.unsettled_in(positions)) {
            self.upstream.push_back(settled);
        }
    }
}
