//! What to do next, most urgent first.

use super::{Dropping, Effect, Fifo};
use crate::batch::Batch;
use crate::receipt::Receipt;
use crate::seeded::{self, Bug};
use crate::spill::{Persist, WhenFull};

impl Fifo {
    /// The next thing to do; call until none. `may_hand`: downstream demand is left. Order of hand-downs is order of arrival.
    pub fn next(&mut self, may_hand: bool) -> Option<Effect> {
        if let Some((receipt, fate)) = self.upstream.pop_front() {
            return Some(Effect::SettleUpstream { receipt, fate });
        }
        self.write()
            .or_else(|| self.persist_cursor())
            .or_else(|| self.drop_oldest())
            .or_else(|| self.hand(may_hand))
            .or_else(|| self.read())
            .or_else(|| self.finish())
    }

    fn write(&mut self) -> Option<Effect> {
        let waits = self.write_retry_ns.is_some_and(|at| at > 0);
        if !self.is_writing() || waits || self.queued == self.memory.tail() {
            return None;
        }
        let batches = self.memory.to_write(self.queued);
        self.queued = self.memory.tail();
        (!batches.is_empty()).then_some(Effect::Write {
            generation: self.generation,
            batches,
        })
    }

    /// A cursor is only needed for what is on disk.
    fn persist_cursor(&mut self) -> Option<Effect> {
        let lags = self.cursor.persisted < self.committed.min(self.flight.settled());
        if !lags || !self.cursor.due || self.cursor.under_way {
            return None;
        }
        self.cursor.due = false;
        self.cursor.under_way = true;
        Some(Effect::PersistCursor {
            position: self.flight.settled(),
        })
    }

    fn drop_oldest(&mut self) -> Option<Effect> {
        let wanted = self.options.when_full == WhenFull::DropOldest && !self.is_retaining() && self.needs_room();
        if !wanted || self.dropping != Dropping::Idle || self.ending.stopped {
            return None;
        }
        self.dropping = Dropping::UnderWay { changed: false };
        // A segment is not deleted under what memory holds of it, so the copies go: they are durable, and wait behind a full disk.
        self.memory.evict(self.committed, 0);
        let nothing_in_flight = self.flight.is_empty();
        Some(Effect::DropOldest {
            from: if nothing_in_flight { 0 } else { self.hand },
            to: self.memory.first().min(self.committed),
        })
    }

    fn may_deliver(&self) -> bool {
        !self.is_retaining()
            && !self.ending.stopped
            && !self.flight.is_broken()
            && !matches!(self.dropping, Dropping::UnderWay { .. })
    }

    fn hand(&mut self, may_hand: bool) -> Option<Effect> {
        self.hand = self.flight.next_unsettled(self.hand);
        if !self.may_deliver() {
            return None;
        }
        self.return_to_memory();
        if seeded::has(Bug::MemoryBeforeDisk) && self.memory.get(self.memory.first()).is_some() {
            self.hand = self.hand.max(self.memory.first());
        }
        let from_disk = self.hand < self.memory.first();
        let (end, cost) = if from_disk {
            let (position, batch) = self.ahead.front(self.hand)?;
            (position + batch.len() as u64, batch.cost() as u64)
        } else {
            let (range, batch) = self.memory.get(self.hand)?;
            (range.end, batch.cost() as u64)
        };
        let durable = self.options.persist == Persist::Overflow || end <= self.committed;
        let room = self.flight.is_empty() || self.flight.bytes() + cost <= self.options.in_flight_bytes;
        if !may_hand || !durable || !room {
            return None;
        }
        let (token, batch) = self.take(from_disk)?;
        self.flight.hand(token..end, cost, batch.numbers.clone());
        self.hand = end;
        Some(Effect::Hand {
            token,
            epoch: self.flight.epoch(),
            batch,
            from_disk,
        })
    }

    fn take(&mut self, from_disk: bool) -> Option<(u64, Batch)> {
        if from_disk {
            return self.ahead.pop();
        }
        let (range, batch) = self.memory.get(self.hand)?;
        let done = (self.hand - range.start) as usize;
        let rest = if done == 0 {
            batch.share(Receipt::none())
        } else {
            batch.part(done..batch.len())
        };
        self.memory.handed(self.hand);
        Some((self.hand, rest))
    }

    /// Everything has been handed down: what is on disk is drained, nothing more needs to be written.
    fn return_to_memory(&mut self) {
        if self.hand >= self.memory.tail() {
            self.spilling = false;
            self.forget_failure();
        }
    }

    fn read(&mut self) -> Option<Effect> {
        let to = self.memory.first().min(self.committed);
        let from = self.ahead.next(self.hand);
        let held = self.ahead.bytes();
        let wanted = from < to && held <= self.options.read_ahead_bytes / 2;
        if !wanted || !self.may_deliver() || self.ahead.is_reading() || self.read_retry_ns.is_some() {
            return None;
        }
        self.ahead.begin(from);
        let bytes = self.options.read_ahead_bytes.saturating_sub(held).max(1);
        Some(Effect::Read { from, to, bytes })
    }

    fn finish(&mut self) -> Option<Effect> {
        let empty = self.flight.unsettled(self.memory.tail()) == 0;
        let stored = self.ending.persist && self.memory.is_durable(self.committed);
        let asked = (self.ending.when_empty && empty) || stored;
        let settled = self.flight.is_empty() || self.ending.forced;
        if self.ending.finished || !asked || !settled || self.cursor.under_way {
            return None;
        }
        // A cursor that cannot be made durable only lags: it does not hold up the end.
        self.cursor.due = !self.cursor.failed;
        if let Some(cursor) = self.persist_cursor() {
            return Some(cursor);
        }
        // Who waits until they are delivered is gone: they are on disk, and not lost.
        if let Some((receipt, fate)) = self.owed.take_kept() {
            return Some(Effect::SettleUpstream { receipt, fate });
        }
        self.ending.finished = true;
        Some(Effect::Finished)
    }
}
