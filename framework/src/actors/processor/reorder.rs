//! Puts what several workers finish back into input order: a pure state machine.

use std::collections::BTreeMap;

use crate::seeded::{self, Bug};

/// Results by ticket; they come out in ticket order.
#[derive(Debug)]
pub struct Reorder<T> {
    issued: u64,
    next: u64,
    early: BTreeMap<u64, T>,
}

impl<T> Reorder<T> {
    /// Without any ticket issued.
    pub fn new() -> Self {
        Self {
            issued: 0,
            next: 0,
            early: BTreeMap::new(),
        }
    }

    /// The ticket of the next input.
    pub fn issue(&mut self) -> u64 {
        self.issued += 1;
        self.issued - 1
    }

    /// Takes the result of a ticket.
    pub fn done(&mut self, ticket: u64, result: T) {
        self.early.insert(ticket, result);
    }

    /// The next result in order, if it is there.
    pub fn pop(&mut self) -> Option<T> {
        let mut ticket = self.next;
        if seeded::has(Bug::ReorderOffByOne) && !self.early.contains_key(&ticket) {
            ticket += 1;
        }
        let result = self.early.remove(&ticket)?;
        self.next += 1;
        Some(result)
    }

    /// Tickets issued and not come out.
    pub fn in_flight(&self) -> u64 {
        self.issued - self.next
    }
}

impl<T> Default for Reorder<T> {
    fn default() -> Self {
        Self::new()
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
