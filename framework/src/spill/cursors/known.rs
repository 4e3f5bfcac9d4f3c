//! One named cursor.

use std::ops::Range;

use crate::seeded::{self, Bug};
use crate::spill::Found;

/// What is known of a cursor.
#[derive(Debug)]
pub(super) struct Known {
    /// Everything below is settled.
    pub(super) position: u64,
    /// How much of that is durable.
    pub(super) persisted: u64,
    /// The cursor itself is durable.
    pub(super) made: bool,
    pub(super) open: Option<Open>,
    /// When it moved or was closed last, in nanoseconds since 1970.
    pub(super) moved_ns: Option<u64>,
    passed: u64,
    /// How many of these its client was not told.
    untold: u64,
    /// What of this lies above `position`; ascending.
    counted: Vec<Range<u64>>,
}

/// A cursor that somebody reads with.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) ticket: u64,
    /// Everything below was read.
    pub(super) read: u64,
    /// So many bytes are waited for.
    pub(super) wanted: Option<u64>,
    pub(super) fetching: bool,
}

impl Open {
    pub(super) fn new(ticket: u64, position: u64) -> Self {
        Self {
            ticket,
            read: position,
            wanted: None,
            fetching: false,
        }
    }
}

impl Known {
    pub(super) fn new(position: u64, moved_ns: Option<u64>) -> Self {
        Self {
            position,
            persisted: position,
            made: false,
            open: None,
            moved_ns,
            passed: 0,
            untold: 0,
            counted: Vec::new(),
        }
    }

    pub(super) fn passed(&self) -> u64 {
        self.passed
    }

    pub(super) fn lags(&self) -> bool {
        self.made && self.persisted < self.position
    }

    /// It is moved past these; what was counted before does not count again.
    pub(super) fn pass(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let before: u64 = self.counted.iter().map(|known| common(known, &range)).sum();
        let before = if seeded::has(Bug::PassedCountedTwice) {
            0
        } else {
            before
        };
        let frames = range.end - range.start - before;
        self.passed += frames;
        self.untold += frames;
        if frames > 0 {
            self.counted.push(range);
            self.join();
        }
    }

    /// Nobody can settle more than was read.
    pub(super) fn settle(&mut self, position: u64, now_ns: u64) {
        let read = self.open.as_ref().map_or(self.position, |open| open.read);
        let position = position.min(read);
        if position > self.position {
            self.position = position;
            self.moved_ns = Some(now_ns);
            self.forget_settled();
        }
    }

    /// Everything below is gone.
    pub(super) fn retained_from(&mut self, floor: u64) {
        match &mut self.open {
            // What is fetched now shows by its gap what was gone before.
            Some(open) if open.fetching => {}
            Some(open) => {
                let read = open.read;
                open.read = read.max(floor);
                self.pass(read..floor);
            }
            None => self.let_go(floor),
        }
    }

    /// Nobody reads with it any more: what it has not settled and is gone is lost to it.
    pub(super) fn let_go(&mut self, floor: u64) {
        if !seeded::has(Bug::RetentionNotCounted) {
            self.pass(self.position..floor);
        }
        self.position = self.position.max(floor);
        self.forget_settled();
    }

    /// What it was moved past since it was told, when there is something to tell it with.
    pub(super) fn fetched(&mut self, found: &Found) -> Option<u64> {
        let open = self.open.as_mut()?;
        let mut at = std::mem::replace(&mut open.read, found.next);
        open.fetching = false;
        for (position, batch) in &found.batches {
            if !seeded::has(Bug::GapNotCounted) {
                self.pass(at..*position);
            }
            at = position + batch.len() as u64;
        }
        self.pass(at..found.next);
        if found.batches.is_empty() {
            return None;
        }
        if let Some(open) = &mut self.open {
            open.wanted = None;
        }
        Some(std::mem::take(&mut self.untold))
    }

    fn forget_settled(&mut self) {
        let position = self.position;
        self.counted.retain(|range| range.end > position);
    }

    fn join(&mut self) {
        self.counted.sort_unstable_by_key(|range| range.start);
        self.counted.dedup_by(|next, before| {
            let touches = next.start <= before.end;
            if touches {
                before.end = before.end.max(next.end);
            }
            touches
        });
    }
}

fn common(one: &Range<u64>, other: &Range<u64>) -> u64 {
    let (start, end) = (one.start.max(other.start), one.end.min(other.end));
    end.saturating_sub(start)
}
