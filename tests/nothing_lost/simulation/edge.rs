//! An edge between two actors: batches down, grants up, and its bound.

use std::collections::VecDeque;

use aqueduct::framework::batch::Batch;
use aqueduct::framework::demand::{DemandLedger, Grant, Window};

/// Messages under way between two actors, and what both ends know.
#[derive(Debug)]
pub(crate) struct Edge {
    size: u64,
    ledger: DemandLedger,
    window: Window,
    batches: VecDeque<Batch>,
    grants: VecDeque<Grant>,
    largest: u64,
}

impl Edge {
    pub(crate) fn new(size: u64) -> Self {
        let mut window = Window::new(size, 1);
        let grants = window.open().into_iter().collect();
        Self {
            size,
            ledger: DemandLedger::default(),
            window,
            batches: VecDeque::new(),
            grants,
            largest: 0,
        }
    }

    pub(crate) fn may_send(&self) -> bool {
        self.ledger.may_send()
    }

    pub(crate) fn send(&mut self, batch: Batch) {
        let cost = batch.cost();
        self.ledger.spend(cost);
        self.largest = self.largest.max(cost as u64);
        self.batches.push_back(batch);
        let under_way: u64 = self.batches.iter().map(|batch| batch.cost() as u64).sum();
        let bytes = under_way + self.window.held();
        assert!(
            bytes <= self.size + self.largest,
            "{bytes} bytes on an edge of {}, and its largest batch has {}",
            self.size,
            self.largest
        );
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// The receiver takes the next batch; its cost is held until [`Edge::release`].
    pub(crate) fn receive(&mut self) -> Option<Batch> {
        let batch = self.batches.pop_front()?;
        self.window.receive(batch.cost());
        Some(batch)
    }

    pub(crate) fn release(&mut self, cost: usize) {
        let grant = self.window.release(cost);
        self.grants.extend(grant);
    }

    /// The receiver has nothing to do.
    pub(crate) fn idle(&mut self) {
        let grant = self.window.idle();
        self.grants.extend(grant);
    }

    /// A grant arrives; with `again` it will do so once more.
    pub(crate) fn grant(&mut self, again: bool) {
        if let Some(grant) = self.grants.pop_front() {
            self.ledger.grant(grant);
            if again {
                self.grants.push_back(grant);
            }
        }
    }
}
