//! Puts what several workers finish back into input order: a pure state machine.

use std::collections::BTreeMap;

/// Results by ticket; they come out in ticket order.
#[derive(Debug)]
pub(super) struct Reorder<T> {
    issued: u64,
    next: u64,
    early: BTreeMap<u64, T>,
}

impl<T> Reorder<T> {
    pub(super) fn new() -> Self {
        Self {
            issued: 0,
            next: 0,
            early: BTreeMap::new(),
        }
    }

    /// The ticket of the next input.
    pub(super) fn issue(&mut self) -> u64 {
        self.issued += 1;
        self.issued - 1
    }

    /// Takes the result of a ticket.
    pub(super) fn done(&mut self, ticket: u64, result: T) {
        self.early.insert(ticket, result);
    }

    /// The next result in order, if it is there.
    pub(super) fn pop(&mut self) -> Option<T> {
        let result = self.early.remove(&self.next)?;
        self.next += 1;
        Some(result)
    }

    /// Tickets issued and not come out.
    pub(super) fn in_flight(&self) -> u64 {
        self.issued - self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_leave_in_input_order_whatever_order_they_arrive_in() {
        let mut reorder = Reorder::new();
        let tickets: Vec<_> = (0..4).map(|_| reorder.issue()).collect();
        let mut out = Vec::new();
        for ticket in [2, 0, 3, 1] {
            reorder.done(tickets[ticket], ticket);
            while let Some(result) = reorder.pop() {
                out.push(result);
            }
        }
        assert_eq!(out, [0, 1, 2, 3]);
        assert_eq!(reorder.in_flight(), 0);
    }
}
