//! The newest batches, in memory: without a gap from [`Memory::first`] to the tail.

use std::collections::VecDeque;
use std::ops::Range;

use crate::batch::Batch;
use crate::receipt::Receipt;

/// A batch in memory.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) position: u64,
    pub(super) end: u64,
    pub(super) arrived_ns: u64,
    /// The upstream receipt, until its fate is told.
    pub(super) receipt: Option<Receipt>,
    /// None once it is settled.
    pub(super) batch: Option<Batch>,
    /// Its payload's bytes while they may still be written: it is not durable, and not settled or with the writer already.
    pub(super) volatile_bytes: u64,
    /// It was handed down and is not settled: the bound on what is in flight counts it.
    pub(super) in_flight: bool,
}

impl Entry {
    /// Bytes it takes while it waits to be handed down.
    fn waiting_bytes(&self) -> u64 {
        match &self.batch {
            Some(batch) if !self.in_flight => batch.cost() as u64,
            _ => 0,
        }
    }
}

/// Entries by position, and their cost.
#[derive(Debug)]
pub(super) struct Memory {
    entries: VecDeque<Entry>,
    tail: u64,
    bytes: u64,
    waiting_bytes: u64,
    volatile_bytes: u64,
}

impl Memory {
    pub(super) fn new(tail: u64) -> Self {
        Self {
            entries: VecDeque::new(),
            tail,
            bytes: 0,
            waiting_bytes: 0,
            volatile_bytes: 0,
        }
    }

    /// The position of the first batch in memory; the tail without any.
    pub(super) fn first(&self) -> u64 {
        self.entries.front().map_or(self.tail, |entry| entry.position)
    }

    /// The position behind the newest frame.
    pub(super) fn tail(&self) -> u64 {
        self.tail
    }

    /// The cost of the batches, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The same, of those only that are not in flight.
    pub(super) fn waiting_bytes(&self) -> u64 {
        self.waiting_bytes
    }

    /// The batch that holds this position is in flight now.
    pub(super) fn handed(&mut self, position: u64) {
        let index = self.holder(position);
        if let Some(entry) = self.entries.get_mut(index) {
            self.waiting_bytes -= entry.waiting_bytes();
            entry.in_flight = true;
        }
    }

    /// Nothing is in flight any more: what is not settled waits again.
    pub(super) fn taken_back(&mut self) {
        for entry in self.entries.iter_mut().filter(|entry| entry.in_flight) {
            entry.in_flight = false;
            self.waiting_bytes += entry.waiting_bytes();
        }
    }

    /// Payload bytes that may still be written: the disk must have room for them.
    pub(super) fn volatile_bytes(&self) -> u64 {
        self.volatile_bytes
    }

    pub(super) fn push(&mut self, mut batch: Batch, now_ns: u64) {
        let receipt = std::mem::replace(&mut batch.receipt, Receipt::none());
        let end = self.tail + batch.len() as u64;
        let volatile_bytes = batch.payload.len() as u64;
        self.bytes += batch.cost() as u64;
        self.waiting_bytes += batch.cost() as u64;
        self.volatile_bytes += volatile_bytes;
        self.entries.push_back(Entry {
            position: self.tail,
            end,
            arrived_ns: now_ns,
            receipt: Some(receipt),
            batch: Some(batch),
            volatile_bytes,
            in_flight: false,
        });
        self.tail = end;
    }

    /// The batch that holds this position, and where it begins and ends.
    pub(super) fn get(&self, position: u64) -> Option<(Range<u64>, &Batch)> {
        let entry = self.entries.get(self.holder(position))?;
        let batch = entry.batch.as_ref()?;
        let range = entry.position..entry.end;
        range.contains(&position).then_some((range, batch))
    }

    /// The entries from `position` on, with the one in which it lies.
    pub(super) fn from(&self, position: u64) -> impl Iterator<Item = &Entry> {
        self.entries.range(self.holder(position)..)
    }

    /// When the oldest unsettled batch from `position` on arrived.
    pub(super) fn oldest_ns(&self, position: u64) -> Option<u64> {
        let mut entries = self.entries.range(self.index(position)..);
        entries
            .find(|entry| entry.batch.is_some())
            .map(|entry| entry.arrived_ns)
    }

    /// Shares of the unsettled batches from `position` on, for the writer.
    pub(super) fn to_write(&self, position: u64) -> Vec<(u64, Batch)> {
        let entries = self.entries.range(self.index(position)..);
        entries
            .filter_map(|entry| Some((entry.position, entry.batch.as_ref()?.share(Receipt::none()))))
            .collect()
    }

    /// The writer has committed the entries from `from` on that end at `to` or before; returns their receipts, with their positions.
    pub(super) fn committed(&mut self, from: u64, to: u64) -> Vec<(Range<u64>, Receipt)> {
        let index = self.index(from);
        let mut receipts = Vec::new();
        for entry in self.entries.range_mut(index..) {
            if entry.end > to {
                break;
            }
            self.volatile_bytes -= std::mem::take(&mut entry.volatile_bytes);
            let positions = entry.position..entry.end;
            receipts.extend(entry.receipt.take().map(|receipt| (positions, receipt)));
        }
        self.pop_settled();
        receipts
    }

    /// Lets go of the batches that end in a settled range; returns their receipts. What a batch holds before the range has settled earlier. What is
    /// below `queued` is with the writer.
    pub(super) fn settled(&mut self, from: u64, to: u64, queued: u64) -> Vec<Receipt> {
        let index = self.holder(from);
        let mut receipts = Vec::new();
        for entry in self.entries.range_mut(index..) {
            if entry.end > to {
                break;
            }
            self.waiting_bytes -= entry.waiting_bytes();
            self.bytes -= entry.batch.take().map_or(0, |batch| batch.cost() as u64);
            if entry.position >= queued {
                self.volatile_bytes -= std::mem::take(&mut entry.volatile_bytes);
            }
            receipts.extend(entry.receipt.take());
        }
        self.pop_settled();
        receipts
    }

    /// The writer has nothing any more: what settled meanwhile will not be written.
    pub(super) fn write_failed(&mut self) {
        for entry in self.entries.iter_mut().filter(|entry| entry.batch.is_none()) {
            self.volatile_bytes -= std::mem::take(&mut entry.volatile_bytes);
        }
        self.pop_settled();
    }

    /// Forgets the oldest batches that are durable until no more than `most_bytes` are left.
    pub(super) fn evict(&mut self, committed: u64, most_bytes: u64) {
        while self.bytes > most_bytes && self.entries.front().is_some_and(|entry| entry.end <= committed) {
            self.pop_front();
        }
    }

    /// True when every unsettled batch ends at `committed` or before.
    pub(super) fn is_durable(&self, committed: u64) -> bool {
        let entries = self.entries.range(self.index(committed)..);
        entries.into_iter().all(|entry| entry.batch.is_none())
    }

    /// Gives everything up: the receipts, and how many frames that loses, by the range of each batch.
    pub(super) fn clear(&mut self, lost: impl Fn(Range<u64>) -> u64) -> (Vec<Receipt>, u64) {
        let mut frames = 0;
        let mut receipts = Vec::new();
        for entry in self.entries.drain(..) {
            if entry.batch.is_some() {
                frames += lost(entry.position..entry.end);
            }
            receipts.extend(entry.receipt);
        }
        (self.bytes, self.waiting_bytes, self.volatile_bytes) = (0, 0, 0);
        (receipts, frames)
    }

    fn pop_settled(&mut self) {
        let done = |entry: &Entry| entry.batch.is_none() && entry.volatile_bytes == 0;
        while self.entries.front().is_some_and(done) {
            self.pop_front();
        }
    }

    fn pop_front(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.waiting_bytes -= entry.waiting_bytes();
            self.bytes -= entry.batch.map_or(0, |batch| batch.cost() as u64);
            self.volatile_bytes -= entry.volatile_bytes;
        }
    }

    /// The entry in which the position lies; the next one when it lies in none.
    fn holder(&self, position: u64) -> usize {
        self.entries.partition_point(|entry| entry.end <= position)
    }

    /// The first entry that begins at the position or behind it.
    fn index(&self, position: u64) -> usize {
        self.entries.partition_point(|entry| entry.position < position)
    }
}
