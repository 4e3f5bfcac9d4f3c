//! An edge: grants may arrive late, in any order, and twice; the receiver may close its window and open it again.

use std::collections::VecDeque;

use aqueduct::framework::demand::{DemandLedger, Grant, Window};

use super::explore::Model;

pub(super) struct Demand {
    size: u64,
    ledger: DemandLedger,
    window: Window,
    to_send: VecDeque<u64>,
    largest: u64,
    under_way: VecDeque<u64>,
    held: Vec<u64>,
    grants: Vec<Grant>,
    /// The receiver has restored its window since something came.
    idle: bool,
    closed: bool,
    repeats_left: u32,
    closes_left: u32,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Action {
    Send,
    Receive,
    /// The held batch of this index is let go of.
    Release(usize),
    Idle,
    /// The grant of this index arrives.
    Grant(usize),
    /// It arrives, and will arrive again.
    GrantTwice(usize),
    Close,
    Open,
}

impl Demand {
    pub(super) fn new(size: u64, batches: &[u64]) -> Self {
        let mut window = Window::new(size, 1);
        let grants = window.open().into_iter().collect();
        Self {
            size,
            ledger: DemandLedger::default(),
            window,
            to_send: batches.iter().copied().collect(),
            largest: batches.iter().copied().max().unwrap_or(0),
            under_way: VecDeque::new(),
            held: Vec::new(),
            grants,
            idle: true,
            closed: false,
            repeats_left: 2,
            closes_left: 1,
        }
    }
}

impl Model for Demand {
    type Action = Action;

    fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut may = |possible: bool, action: Action| actions.extend(possible.then_some(action));
        may(self.ledger.may_send() && !self.to_send.is_empty(), Action::Send);
        may(!self.under_way.is_empty(), Action::Receive);
        may(
            self.under_way.is_empty() && self.held.is_empty() && !self.idle && !self.closed,
            Action::Idle,
        );
        may(!self.closed && self.closes_left > 0, Action::Close);
        may(self.closed, Action::Open);
        (0..self.held.len()).for_each(|index| may(true, Action::Release(index)));
        for index in 0..self.grants.len() {
            may(true, Action::Grant(index));
            may(self.repeats_left > 0, Action::GrantTwice(index));
        }
        actions
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Send => {
                let cost = self.to_send.pop_front().unwrap();
                self.ledger.spend(cost as usize);
                self.under_way.push_back(cost);
            }
            Action::Receive => {
                let cost = self.under_way.pop_front().unwrap();
                self.window.receive(cost as usize);
                self.held.push(cost);
                self.idle = false;
            }
            Action::Release(index) => {
                let cost = self.held.remove(index);
                self.grants.extend(self.window.release(cost as usize));
            }
            Action::Idle => {
                self.idle = true;
                self.grants.extend(self.window.idle());
            }
            Action::Grant(index) => {
                let grant = self.grants.remove(index);
                self.ledger.grant(grant);
            }
            Action::GrantTwice(index) => {
                self.repeats_left -= 1;
                self.ledger.grant(self.grants[index]);
            }
            Action::Close => {
                self.closes_left -= 1;
                self.closed = true;
                self.window.close();
            }
            Action::Open => {
                self.closed = false;
                self.grants.extend(self.window.open());
            }
        }
        let bytes: u64 = self.under_way.iter().chain(&self.held).sum();
        assert!(
            bytes <= self.size + self.largest,
            "{bytes} bytes on an edge of {}, its largest batch has {}",
            self.size,
            self.largest
        );
    }

    fn fingerprint(&self) -> String {
        let mut grants: Vec<u64> = self.grants.iter().map(|grant| grant.total).collect();
        grants.sort_unstable();
        let queues = (&self.to_send, &self.under_way, &self.held, grants);
        let flags = (self.idle, self.closed, self.repeats_left, self.closes_left);
        format!("{:?} {:?} {queues:?} {flags:?}", self.ledger, self.window)
    }

    fn at_rest(&self) {
        assert!(self.to_send.is_empty(), "stuck before {:?}", self.to_send);
    }
}
