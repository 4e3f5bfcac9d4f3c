//! A processor with workers that finish in any order.

use aqueduct::framework::actors::processor::reorder::Reorder;

use super::explore::Model;

pub(super) struct Order {
    order: Reorder<u64>,
    total: u64,
    workers: usize,
    issued: u64,
    working: Vec<u64>,
    left: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Action {
    Take,
    Finish(usize),
}

impl Order {
    pub(super) fn new(total: u64, workers: usize) -> Self {
        Self {
            order: Reorder::new(),
            total,
            workers,
            issued: 0,
            working: Vec::new(),
            left: 0,
        }
    }
}

impl Model for Order {
    type Action = Action;

    fn actions(&self) -> Vec<Action> {
        let room = self.issued < self.total && self.working.len() < self.workers;
        let take = room.then_some(Action::Take);
        take.into_iter()
            .chain((0..self.working.len()).map(Action::Finish))
            .collect()
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Take => {
                self.working.push(self.order.issue());
                self.issued += 1;
            }
            Action::Finish(which) => {
                let ticket = self.working.remove(which);
                self.order.done(ticket, ticket);
            }
        }
        while let Some(ticket) = self.order.pop() {
            assert_eq!(ticket, self.left, "leaves in order");
            self.left += 1;
        }
    }

    fn fingerprint(&self) -> String {
        format!("{:?} {:?} {} {}", self.order, self.working, self.issued, self.left)
    }

    fn at_rest(&self) {
        assert_eq!(self.left, self.total);
    }
}
