//! What was written and is not acknowledged yet: which batches may be settled, and what is to be written again on the next connection.

use std::collections::VecDeque;
use std::ops::Range;

use crate::plugin::Confirmed;
use crate::seeded::{self, Bug};

#[cfg(test)]
mod tests;

/// Batches in the order in which they were written on one connection, each with the bytes of that connection it takes.
///
/// Behind what is acknowledged it keeps the last `resend_bytes` too, with at most one batch more.
#[derive(Debug)]
pub(super) struct Unacknowledged<T> {
    resend_bytes: u64,
    entries: VecDeque<Entry<T>>,
    /// The first so many are acknowledged whole.
    settled: usize,
    /// Bytes written since the connection began.
    written: u64,
    /// Bytes acknowledged since then, as far as is known.
    acknowledged: u64,
    /// What the entries that are not settled pin in memory.
    held_cost: u64,
}

#[derive(Debug)]
struct Entry<T> {
    what: T,
    /// The first byte of its own that was written on this connection.
    from: u64,
    /// Where on the connection that began, and where its last byte ended.
    start: u64,
    end: u64,
    cost: u64,
}

/// Something to be written again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Again<T> {
    pub(super) what: T,
    /// So many of its own bytes are acknowledged, and are none of the last `resend_bytes`.
    pub(super) done_bytes: u64,
    /// The other side has refused the frames up to this byte of its own.
    pub(super) refused_bytes: u64,
}

impl<T> Unacknowledged<T> {
    pub(super) fn new(resend_bytes: u64) -> Self {
        Self {
            resend_bytes,
            entries: VecDeque::new(),
            settled: 0,
            written: 0,
            acknowledged: 0,
            held_cost: 0,
        }
    }

    /// Notes that these bytes of it were written behind everything before; it pins `cost` bytes of memory.
    pub(super) fn push(&mut self, what: T, bytes: Range<u64>, cost: u64) {
        self.held_cost += cost;
        let start = self.written;
        self.written += bytes.end - bytes.start;
        self.entries.push_back(Entry {
            what,
            from: bytes.start,
            start,
            end: self.written,
            cost,
        });
    }

    /// Notes that the first `total` bytes of the connection are acknowledged; what that makes whole is given to `settle`, in order. A total lower
    /// than one before is ignored.
    pub(super) fn acknowledge(&mut self, total: u64, mut settle: impl FnMut(&mut T)) {
        self.acknowledged = self.acknowledged.max(total);
        while let Some(entry) = self.entries.get_mut(self.settled)
            && (entry.end <= self.acknowledged || seeded::has(Bug::SettledByPart) && entry.start < self.acknowledged)
        {
            settle(&mut entry.what);
            self.held_cost -= entry.cost;
            self.settled += 1;
        }
        let kept_from = self.acknowledged.saturating_sub(self.resend_bytes);
        while self.settled > 0 && self.entries.front().is_some_and(|entry| entry.end <= kept_from) {
            self.entries.pop_front();
            self.settled -= 1;
        }
    }

    /// All that stand on these bytes of the connection, each with which bytes of its own that are.
    pub(super) fn on(&mut self, bytes: &Range<u64>) -> impl Iterator<Item = (&mut T, Range<u64>)> {
        self.entries.iter_mut().filter_map(move |entry| {
            let (start, end) = (bytes.start.max(entry.start), bytes.end.min(entry.end));
            let own = |at| entry.from + at - entry.start;
            let range = own(start)..own(end.max(start));
            (start < end).then_some((&mut entry.what, range))
        })
    }

    /// Bytes written since the connection began.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// The first that is acknowledged only in part, and up to which of its own bytes.
    pub(super) fn in_part(&mut self) -> Option<(&mut T, u64)> {
        let acknowledged = self.acknowledged;
        let entry = self.entries.get_mut(self.settled)?;
        let part = acknowledged.checked_sub(entry.start).filter(|bytes| *bytes > 0)?;
        Some((&mut entry.what, entry.from + part))
    }

    /// The connection is gone: all that is to be written again on the next one, in order; after an orderly end nothing that was acknowledged. Counting
    /// begins anew. The other side has refused what was written up to byte `refused` of the connection; nothing, when that is acknowledged.
    pub(super) fn take_back(&mut self, orderly: bool, refused: u64) -> Vec<Again<T>> {
        let nothing_more = orderly || seeded::has(Bug::ResendBytesForgotten);
        let resend_bytes = if nothing_more { 0 } else { self.resend_bytes };
        let kept_from = self.acknowledged.saturating_sub(resend_bytes);
        let refused = if refused > self.acknowledged { refused } else { 0 };
        let anew = Self::new(self.resend_bytes);
        let before = std::mem::replace(self, anew);
        let (mut entries, settled) = (before.entries, before.settled);
        if seeded::has(Bug::AcknowledgedCarriedOver) {
            self.acknowledged = before.acknowledged;
        }
        if seeded::has(Bug::ResendTurned) {
            entries.make_contiguous()[settled..].reverse();
        }
        let again = entries.into_iter().enumerate().filter_map(|(index, entry)| {
            let from = if seeded::has(Bug::ResumedAsWhole) {
                0
            } else {
                entry.from
            };
            let done = kept_from.clamp(entry.start, entry.end);
            let needed = index >= settled || done < entry.end;
            needed.then_some(Again {
                what: entry.what,
                done_bytes: from + done - entry.start,
                refused_bytes: from + refused.clamp(entry.start, entry.end) - entry.start,
            })
        });
        again.collect()
    }

    /// How much is to be acknowledged: what is settled; more while what is not pins too much, but nothing that does not seem to be read before that, too,
    /// pins too much.
    pub(super) fn due(&self, confirmed: Confirmed, settle_bytes: u64, unread_bytes: u64) -> u64 {
        let unread = self.written.saturating_sub(confirmed.read);
        let mut held = self.held_cost;
        let mut due = confirmed.settled;
        for entry in self.entries.range(self.settled..) {
            let waits_long = held.saturating_sub(unread) > settle_bytes && entry.end <= confirmed.read;
            let too_much = held > settle_bytes.saturating_add(unread_bytes) && entry.end <= confirmed.acknowledged;
            if entry.end > due && !waits_long && !too_much {
                break;
            }
            due = due.max(entry.end);
            held -= entry.cost;
        }
        due
    }

    /// Bytes acknowledged since the connection began.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged.min(self.written)
    }

    /// Bytes acknowledged that would not be written again if the connection broke off now.
    pub(super) fn given_up(&self) -> u64 {
        self.acknowledged().saturating_sub(self.resend_bytes)
    }

    /// True while something waits for its acknowledgement.
    pub(super) fn is_waiting(&self) -> bool {
        self.settled < self.entries.len()
    }

    /// Bytes written and not acknowledged.
    pub(super) fn bytes(&self) -> u64 {
        self.written.saturating_sub(self.acknowledged)
    }
}
