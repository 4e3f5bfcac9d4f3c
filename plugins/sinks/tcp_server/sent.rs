//! What of a client's frames is with it: from bytes of its connection to positions in the store.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

/// Batches in the order in which they are written on one connection.
#[derive(Debug, Default)]
pub(super) struct Sent {
    batches: VecDeque<Batch>,
    /// Bytes of the connection that they take, with those that are with the client.
    end: u64,
}

#[derive(Debug)]
struct Batch {
    /// The position of its first frame.
    first: u64,
    /// Where on the connection its first byte stands.
    start: u64,
    /// Where its frames end, counted from there.
    ends: Arc<Vec<u32>>,
}

impl Sent {
    /// The next batch; its first frame stands at position `first`, and its frames end at `ends` of its wire bytes.
    pub(super) fn push(&mut self, first: u64, ends: &Arc<Vec<u32>>) {
        self.batches.push_back(Batch {
            first,
            start: self.end,
            ends: ends.clone(),
        });
        self.end += u64::from(ends.last().copied().unwrap_or(0));
    }

    /// The position below which all is with the client once the first `bytes` of the connection are. None when that is no more than nothing.
    pub(super) fn settled(&mut self, bytes: u64) -> Option<u64> {
        let mut settled = None;
        while let Some(batch) = self.batches.front() {
            let within = bytes.checked_sub(batch.start)?;
            let frames = batch.ends.partition_point(|end| u64::from(*end) <= within);
            if frames > 0 {
                settled = Some(batch.first + frames as u64);
            }
            if frames < batch.ends.len() {
                break;
            }
            self.batches.pop_front();
        }
        settled
    }

    /// True while something is not with the client.
    pub(super) fn is_waiting(&self) -> bool {
        !self.batches.is_empty()
    }
}
