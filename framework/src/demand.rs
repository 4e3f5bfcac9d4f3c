//! Demand: bytes a downstream actor has said it can take. The permission to send, and so the bound on memory.
//!
//! Grants are cumulative totals under the edge's epoch: a repeated or late grant changes nothing (compare TCP's
//! window, RFC 9293 section 3.8.6, and GenStage's demand). A batch may be sent while any demand is left; the ledger may
//! go below zero by one batch, so `window + largest batch` bounds what is on an edge.

use crate::seeded::{self, Bug};

/// Permission to have sent `total` bytes on an edge since its epoch began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// The edge's epoch: raised when the downstream actor starts anew.
    pub epoch: u32,
    /// Bytes granted since the epoch began.
    pub total: u64,
}

/// The upstream side of an edge: what it was granted and what it spent.
#[derive(Debug, Default)]
pub struct DemandLedger {
    epoch: u32,
    granted: u64,
    spent: u64,
}

impl DemandLedger {
    /// Takes a grant; one of an older epoch, or lower than what is known, is ignored.
    pub fn grant(&mut self, grant: Grant) {
        if grant.epoch > self.epoch {
            *self = Self {
                epoch: grant.epoch,
                granted: grant.total,
                spent: 0,
            };
        } else if grant.epoch == self.epoch {
            self.granted = if seeded::has(Bug::GrantCountedTwice) {
                self.granted + grant.total
            } else {
                self.granted.max(grant.total)
            };
        }
    }

    /// True while any demand is left.
    pub fn may_send(&self) -> bool {
        self.granted > self.spent
    }

    /// Demand left, in bytes; 0 when overdrawn.
    pub fn available(&self) -> u64 {
        self.granted.saturating_sub(self.spent)
    }

    /// Notes that a batch of `cost` bytes was sent.
    pub fn spend(&mut self, cost: usize) {
        self.spent += cost as u64;
        if seeded::has(Bug::OverdraftForgiven) {
            self.spent = self.spent.min(self.granted);
        }
    }
}

/// The downstream side of an edge: decides when to grant.
///
/// Grants are coalesced: one leaves when a quarter of the window has been let go of. A receiver that falls idle
/// restores the whole window at once, so that an upstream actor never waits for a receiver that has nothing to do.
#[derive(Debug)]
pub struct Window {
    size: u64,
    epoch: u32,
    received: u64,
    released: u64,
    granted: u64,
    open: bool,
}

impl Window {
    /// A closed window of `size` bytes: nothing is granted until [`Window::open`].
    pub fn new(size: u64, epoch: u32) -> Self {
        Self {
            size: size.max(1),
            epoch,
            received: 0,
            released: 0,
            granted: 0,
            open: false,
        }
    }

    /// Starts granting.
    pub fn open(&mut self) -> Option<Grant> {
        self.open = true;
        self.idle()
    }

    /// Grants nothing more until it is opened again; what was granted stays granted.
    pub fn close(&mut self) {
        self.open = false;
    }

    /// Changes the size, for fan-in, where the window moves to the edges that use it.
    pub fn resize(&mut self, size: u64) {
        self.size = size.max(1);
    }

    /// Notes a batch that arrived.
    pub fn receive(&mut self, cost: usize) {
        self.received += cost as u64;
    }

    /// Notes that the bytes of a batch were let go of; a grant is due when a quarter of the window has gathered.
    pub fn release(&mut self, cost: usize) -> Option<Grant> {
        self.released += cost as u64;
        let due = self.released + self.size >= self.granted + self.size / 4;
        due.then(|| self.renew()).flatten()
    }

    /// The receiver has nothing to do: restores the whole window.
    pub fn idle(&mut self) -> Option<Grant> {
        let lost = seeded::has(Bug::LostDemand) && self.granted > 0;
        self.renew().filter(|_| !lost)
    }

    /// Bytes received and not let go of.
    pub fn held(&self) -> u64 {
        self.received - self.released
    }

    /// Bytes granted and not let go of again: what the upstream actor may have sent or may still send.
    pub fn outstanding(&self) -> u64 {
        self.granted.max(self.received) - self.released
    }

    fn renew(&mut self) -> Option<Grant> {
        let total = self.released + self.size;
        if !self.open || total <= self.granted {
            return None;
        }
        self.granted = total;
        Some(Grant {
            epoch: self.epoch,
            total,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_or_late_grant_changes_nothing() {
        let mut ledger = DemandLedger::default();
        ledger.grant(Grant { epoch: 1, total: 100 });
        ledger.spend(60);
        ledger.grant(Grant { epoch: 1, total: 100 });
        ledger.grant(Grant { epoch: 1, total: 50 });
        assert_eq!(ledger.available(), 40);
    }

    #[test]
    fn the_ledger_overdraws_by_one_batch_and_no_more() {
        let mut ledger = DemandLedger::default();
        ledger.grant(Grant { epoch: 1, total: 10 });
        assert!(ledger.may_send());
        ledger.spend(1_000);
        assert!(!ledger.may_send());
        ledger.grant(Grant { epoch: 1, total: 1_000 });
        assert!(!ledger.may_send(), "the overdraft is paid back first");
    }

    #[test]
    fn grants_are_coalesced_until_a_quarter_is_let_go_of_and_restored_when_idle() {
        let mut window = Window::new(400, 1);
        assert_eq!(window.open(), Some(Grant { epoch: 1, total: 400 }));
        window.receive(150);
        assert_eq!(window.release(50), None);
        assert_eq!(window.release(50), Some(Grant { epoch: 1, total: 500 }));
        assert_eq!(window.release(50), None);
        assert_eq!(window.idle(), Some(Grant { epoch: 1, total: 550 }));
        assert_eq!(window.idle(), None);
    }

    #[test]
    fn a_closed_window_grants_nothing_and_reopens_with_what_was_let_go_of() {
        let mut window = Window::new(100, 1);
        window.open();
        window.receive(100);
        window.close();
        assert_eq!(window.release(100), None);
        assert_eq!(window.open(), Some(Grant { epoch: 1, total: 200 }));
    }
}
