//! The sender's side of one connection: what the receiver has already, and how many frames it has acknowledged.

use std::collections::VecDeque;

use aqueduct_framework::seeded::{self, Bug};

/// One connection, from WELCOME on.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// Frames below are durable at the receiver.
    sequence: u64,
    /// Frames that were written, or left out because the receiver has them, and are not all acknowledged: positions, and how many came before.
    unacknowledged: VecDeque<Sent>,
    /// Frames since the connection began.
    written: u64,
    acknowledged: u64,
}

#[derive(Debug)]
struct Sent {
    first: u64,
    end: u64,
    before: u64,
}

impl Outgoing {
    /// A connection whose receiver has the frames below `sequence`.
    pub fn new(sequence: u64) -> Self {
        Self {
            sequence,
            ..Self::default()
        }
    }

    /// How many of the `frames` that begin at `first` the receiver has already.
    pub fn skip(&self, first: u64, frames: usize) -> usize {
        let more = u64::from(seeded::has(Bug::LinkSkipsOneMore) && self.sequence >= first.max(1));
        let known = self.sequence.saturating_sub(first) + more;
        usize::try_from(known).unwrap_or(usize::MAX).min(frames)
    }

    /// The `frames` that begin at `first` are on their way, those among them that the receiver has already too.
    pub fn sent(&mut self, first: u64, frames: usize) {
        let end = first.saturating_add(frames as u64);
        let before = self.written;
        self.written += end - first;
        self.unacknowledged.push_back(Sent { first, end, before });
        self.advance();
    }

    /// The receiver has the frames below `sequence`. True when that is more than before. It may be more than what was sent: a message is acknowledged before
    /// the last of its batch is written, and what came on a connection before this one becomes durable later. Such frames are left out like those that WELCOME told of.
    pub fn acknowledge(&mut self, sequence: u64) -> bool {
        let more = sequence > self.sequence;
        self.sequence = self.sequence.max(sequence);
        self.advance();
        more
    }

    /// How many of the frames sent on this connection the receiver has, in the order of sending.
    pub fn acknowledged_frames(&self) -> u64 {
        self.acknowledged
    }

    /// The first frame that is not acknowledged, where those written last begin at `last`.
    pub fn first_kept(&self, last: u64) -> u64 {
        let first = self.unacknowledged.front().map_or(last, |sent| sent.first);
        first.max(self.sequence)
    }

    /// True while the receiver owes an answer.
    pub fn is_waiting(&self) -> bool {
        !self.unacknowledged.is_empty()
    }

    fn advance(&mut self) {
        while let Some(sent) = self.unacknowledged.front() {
            let known = self.sequence.clamp(sent.first, sent.end);
            self.acknowledged = self.acknowledged.max(sent.before + known - sent.first);
            if known < sent.end {
                return;
            }
            self.unacknowledged.pop_front();
        }
    }
}
