//! Up to where a replay has come: where an operator goes on when it was ended early.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use aqueduct_framework::plugin::Context;
use aqueduct_framework::receipt::{Fate, Ledger, Receipt};
use aqueduct_framework::telemetry::Gauge;

/// Gives batches their receipts, and says in the gauge `position` up to where all is settled.
pub(super) struct Progress {
    ledger: Arc<Ledger>,
    line: Arc<Mutex<Line>>,
    first: Option<Gauge>,
    position: Gauge,
}

impl Progress {
    /// Nothing is under way.
    pub(super) fn new(context: &Context) -> Self {
        let line = Arc::<Mutex<Line>>::default();
        let position = context.gauge("position");
        let (settling, telling, saying) = (line.clone(), position.clone(), context.clone());
        let ledger = Ledger::counting(move |batch| {
            let mut line = settling.lock().unwrap_or_else(PoisonError::into_inner);
            // Told under the lock: receipts come from several threads, and the position never goes back.
            if let Some(end) = line.settle(batch.token, batch.fate) {
                telling.set(end);
                saying.say("state", format!("settled before position {end}"));
            }
        });
        Self {
            ledger,
            line,
            first: Some(context.gauge("first_position")),
            position,
        }
    }

    /// The receipt of a batch of so many frames, of which the first stands at `position`.
    pub(super) fn receipt(&mut self, position: u64, frames: u64) -> Receipt {
        if let Some(first) = self.first.take() {
            first.set(position);
            self.position.set(position);
        }
        let token = self
            .line
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(position + frames);
        self.ledger.issue(token, 1)
    }
}

/// The batches that are under way, in order. Pure.
#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Waiting>,
    /// The token of the first that waits.
    first: u64,
    /// The token of the next that comes.
    next: u64,
    /// A batch was dropped: the position does not pass it.
    stuck: bool,
}

#[derive(Debug)]
struct Waiting {
    end: u64,
    settled: bool,
}

impl Line {
    /// The token of one more batch, which ends at this position.
    fn push(&mut self, end: u64) -> u64 {
        if !self.stuck {
            self.waiting.push_back(Waiting { end, settled: false });
        }
        self.next += 1;
        self.next - 1
    }

    /// Gives the position up to which all is settled, when that is a new one.
    fn settle(&mut self, token: u64, fate: Fate) -> Option<u64> {
        let index = usize::try_from(token.checked_sub(self.first)?).ok()?;
        let settled = self.waiting.get_mut(index)?;
        if fate == Fate::Dropped {
            self.waiting.truncate(index);
            self.stuck = true;
            return None;
        }
        settled.settled = true;
        let mut position = None;
        while let Some(first) = self.waiting.pop_front_if(|first| first.settled) {
            self.first += 1;
            position = Some(first.end);
        }
        position
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_position_follows_what_is_settled_without_a_gap_and_stops_at_a_drop() {
        let mut line = Line::default();
        let tokens: Vec<_> = [10, 20, 30, 40].into_iter().map(|end| line.push(end)).collect();
        assert_eq!(line.settle(tokens[1], Fate::Delivered), None);
        assert_eq!(line.settle(tokens[0], Fate::Rejected), Some(20));
        assert_eq!(line.settle(tokens[3], Fate::Dropped), None);
        let later = line.push(50);
        assert_eq!(line.settle(later, Fate::Delivered), None);
        assert_eq!(line.settle(tokens[2], Fate::Delivered), Some(30));
        assert!(line.waiting.is_empty(), "nothing is kept behind a drop");
    }
}
