//! What is handed down and not settled, and which positions have settled: ranges may settle out of order.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::batch::Numbers;
use crate::receipt::{Fate, Settled};
use crate::seeded::{self, Bug};

/// Tracks receipts by the position they were handed under.
#[derive(Debug)]
pub(super) struct Flight {
    /// By first position, what is in flight.
    handed: BTreeMap<u64, Handed>,
    bytes: u64,
    /// Everything below is settled.
    settled: u64,
    /// First position -> end of what is settled above; disjoint, not touching.
    ahead: BTreeMap<u64, u64>,
    ahead_frames: u64,
    epoch: u64,
    broken: bool,
    repeated: u64,
}

/// One batch in flight.
#[derive(Debug)]
struct Handed {
    end: u64,
    cost: u64,
    /// By which its first frames are told apart, when it comes back before all of them are settled.
    numbers: Numbers,
}

impl Flight {
    pub(super) fn new(settled: u64) -> Self {
        Self {
            handed: BTreeMap::new(),
            bytes: 0,
            settled,
            ahead: BTreeMap::new(),
            ahead_frames: 0,
            epoch: 1,
            broken: false,
            repeated: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.handed.is_empty()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Frames that were dropped below, and so are handed down once more.
    pub(super) fn repeated(&self) -> u64 {
        self.repeated
    }

    /// True from the first drop of an epoch until everything of it has come back.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Everything below this position is settled.
    pub(super) fn settled(&self) -> u64 {
        self.settled
    }

    /// How many positions below `tail` are not settled.
    pub(super) fn unsettled(&self, tail: u64) -> u64 {
        tail - self.settled - self.ahead_frames
    }

    /// The first position from `from` on that is not settled.
    pub(super) fn next_unsettled(&self, from: u64) -> u64 {
        let from = from.max(self.settled);
        if seeded::has(Bug::HandedDownTwice) {
            return from;
        }
        match self.ahead.range(..=from).next_back() {
            Some((_, end)) if *end > from => *end,
            _ => from,
        }
    }

    /// True when this position has settled.
    pub(super) fn is_settled(&self, position: u64) -> bool {
        self.next_unsettled(position) != position
    }

    /// True when this position is in flight.
    pub(super) fn is_handed(&self, position: u64) -> bool {
        let before = self.handed.range(..=position).next_back();
        before.is_some_and(|(_, handed)| handed.end > position)
    }

    /// How many positions of the range are not settled.
    pub(super) fn unsettled_in(&self, range: Range<u64>) -> u64 {
        let range = range.start.max(self.settled)..range.end;
        let within = |(start, end): (&u64, &u64)| (*end).min(range.end).saturating_sub((*start).max(range.start));
        let settled: u64 = self.ahead.range(..range.end).map(within).sum();
        range.end.saturating_sub(range.start) - settled
    }

    pub(super) fn hand(&mut self, range: Range<u64>, cost: u64, numbers: Numbers) {
        self.bytes += cost;
        let end = range.end;
        self.handed.insert(range.start, Handed { end, cost, numbers });
    }

    /// Takes a settled receipt; the range that is settled for good now, if any: of a batch that was dropped the frames that were done before
    /// that. One of another epoch means nothing.
    pub(super) fn settle(&mut self, told: Settled) -> Option<Range<u64>> {
        if told.epoch != self.epoch {
            return None;
        }
        let handed = self.handed.remove(&told.token)?;
        self.bytes -= handed.cost;
        let mut end = handed.end;
        if told.fate == Fate::Dropped {
            self.broken = true;
            let done = handed.numbers.count_below(told.done_below);
            end = told.token.saturating_add(done).min(end);
            self.repeated += handed.end - end;
        }
        self.mark(told.token..end);
        (end > told.token).then_some(told.token..end)
    }

    /// When a broken epoch has come back as a whole, begins the next one: true.
    pub(super) fn renew(&mut self) -> bool {
        let renewed = self.broken && (self.handed.is_empty() || seeded::has(Bug::EpochTooEarly));
        if renewed {
            self.epoch += 1;
            self.broken = false;
        }
        renewed
    }

    /// Notes a range as settled; how many of its positions were not.
    pub(super) fn mark(&mut self, range: Range<u64>) -> u64 {
        let mut new = Range {
            start: range.start.max(self.settled),
            end: range.end,
        };
        if new.is_empty() {
            return 0;
        }
        let mut known = 0;
        let touching = self.ahead.range(..=new.end).rev();
        let touching: Vec<_> = touching
            .take_while(|(_, end)| **end >= new.start)
            .map(|(start, end)| (*start, *end))
            .collect();
        let asked = new.clone();
        for (start, end) in touching {
            known += end.min(asked.end).saturating_sub(start.max(asked.start));
            new = new.start.min(start)..new.end.max(end);
            self.ahead.remove(&start);
            self.ahead_frames -= end - start;
        }
        if new.start == self.settled {
            self.settled = new.end;
        } else {
            self.ahead_frames += new.end - new.start;
            self.ahead.insert(new.start, new.end);
        }
        asked.end - asked.start - known
    }
}
