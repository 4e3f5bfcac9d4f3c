//! The receiver's side of one stream: what is taken, what of it is durable.

use std::collections::VecDeque;

use aqueduct_framework::receipt::Fate;
use aqueduct_framework::seeded::{self, Bug};

/// One stream, over all its connections.
#[derive(Debug)]
pub struct Incoming {
    /// Frames below are durable, or given up and counted.
    durable: u64,
    /// Frames below have been handed to the store.
    taken: u64,
    /// What lies between the two, in order.
    pending: VecDeque<Pending>,
    /// The token of the first pending one.
    first_token: u64,
    /// It has been here before, so what it leaves out is missing.
    known: bool,
    /// The store let go of a batch: what is behind it must not count.
    broken: bool,
    /// The connection that counts.
    connection: u64,
}

#[derive(Debug)]
struct Pending {
    end: u64,
    frames: u64,
    settled: bool,
}

/// What to do with frames that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// They are here already.
    Repeated,
    /// Hand all but the first `skip` to the store, with a receipt of this token.
    From {
        /// Frames that are here already.
        skip: usize,
        /// Names the batch in [`Incoming::settled`].
        token: u64,
        /// Frames before them that the sender does not have any more.
        missing: u64,
    },
    /// Close the connection: another one has replaced it, or the store ends.
    Closed,
    /// No frames have such positions.
    Impossible,
}

impl Incoming {
    /// A stream of which the store has the frames below `durable`; none when it does not know it.
    pub fn new(durable: Option<u64>) -> Self {
        Self {
            durable: durable.unwrap_or(0),
            taken: durable.unwrap_or(0),
            pending: VecDeque::new(),
            first_token: 0,
            known: durable.is_some(),
            broken: false,
            connection: 0,
        }
    }

    /// A connection for it begins, which replaces the one before. Returns its number.
    pub fn connected(&mut self) -> u64 {
        self.connection += 1;
        self.connection
    }

    /// True while this connection counts.
    pub fn is_current(&self, connection: u64) -> bool {
        self.connection == connection && !self.broken
    }

    /// Frames below it are durable: what WELCOME and ACK say.
    pub fn sequence(&self) -> u64 {
        if seeded::has(Bug::LinkAcknowledgesArrival) {
            return self.taken;
        }
        self.durable
    }

    /// Frames handed to the store of which nothing is known yet.
    pub fn waiting_frames(&self) -> u64 {
        self.taken - self.durable.min(self.taken)
    }

    /// `frames` came on this connection, the first of them at `first`.
    pub fn take(&mut self, connection: u64, first: u64, frames: usize) -> Taken {
        if !self.is_current(connection) {
            return Taken::Closed;
        }
        let Some(end) = first.checked_add(frames as u64) else {
            return Taken::Impossible;
        };
        let repeats = seeded::has(Bug::LinkTakesRepeats);
        if end <= self.taken && !repeats {
            return Taken::Repeated;
        }
        let missing = if self.known {
            first.saturating_sub(self.taken)
        } else {
            0
        };
        let skip = if repeats {
            0
        } else {
            self.taken.saturating_sub(first) as usize
        };
        let token = self.first_token + self.pending.len() as u64;
        (self.known, self.taken) = (true, end);
        self.pending.push_back(Pending {
            end,
            frames: (frames - skip) as u64,
            settled: false,
        });
        Taken::From { skip, token, missing }
    }

    /// The fate of a batch that was handed to the store. Returns how many frames the store has refused.
    pub fn settled(&mut self, token: u64, fate: Fate) -> u64 {
        if fate == Fate::Dropped {
            self.broken = true;
            return 0;
        }
        let index = token.checked_sub(self.first_token).map(|index| index as usize);
        let Some(entry) = index.and_then(|index| self.pending.get_mut(index)) else {
            return 0;
        };
        entry.settled = true;
        let refused = if fate == Fate::Rejected { entry.frames } else { 0 };
        // A batch that the store refused is settled before those in front of it.
        while !self.broken && self.pending.front().is_some_and(|first| first.settled) {
            self.durable = self.pending.pop_front().map_or(self.durable, |first| first.end);
            self.first_token += 1;
        }
        refused
    }
}
