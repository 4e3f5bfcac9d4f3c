//! The machine that decides everything about a spill store. Pure: time is an argument, effects are returned.
//!
//! The actor tells it what happened (`append`, `committed`, `read_done`, `settled`, `tick` ...), and after each of
//! these carries out [`Fifo::next`] until it returns nothing.
//!
//! ```text
//!   settled        hand              committed   queued    tail        positions, ascending
//!  ----|------------|--------------------|----------|--------|
//!      | in flight  | to be handed down                      |
//!                            [ memory copies: newest ... ----]
//!      [ on disk ----------------------- ][ writer ]
//! ```
//! Invariants: what is unsettled and below `committed` is durable; memory has no gap up to the tail; whatever is below memory and unsettled is
//! below `committed`; each upstream receipt leaves exactly once, at the commit (`persist = "always"`), or at the commit or its fate, whichever is
//! first; that of one who awaits delivery at its fate.

mod ahead;
mod effect;
mod find;
mod flight;
mod memory;
mod next;
mod owed;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::ops::Range;

pub use effect::{Dropped, Effect, Mode, State};
pub use find::Place;

use self::ahead::ReadAhead;
use self::flight::Flight;
use self::memory::Memory;
use self::owed::Owed;
use crate::batch::Batch;
use crate::receipt::{Fate, Receipt, Settled};
use crate::seeded::{self, Bug};
use crate::spill::{Found, Persist, Recovered, SpillOptions, Usage, WhenFull};

/// The pause after a failed write or read, in nanoseconds.
const RETRY_NS: u64 = 1_000_000_000;

/// What a payload takes on disk at most: the engine rounds a record up to a power of two pages.
const ENGINE_FACTOR: u64 = 2;
/// What a new segment takes before it holds anything, and the engine's copies of its own tables.
const ENGINE_BYTES: u64 = 128 << 10;

/// The state machine of one spill store.
#[derive(Debug)]
pub struct Fifo {
    options: SpillOptions,
    memory: Memory,
    ahead: ReadAhead,
    flight: Flight,
    /// The next position to hand down; what is settled is skipped.
    hand: u64,
    /// Everything unsettled below has been given to the writer.
    queued: u64,
    /// Everything unsettled below is durable.
    committed: u64,
    /// Every batch that arrives is written.
    spilling: bool,
    generation: u64,
    /// Set from a failed write to the next that succeeds: when it is tried again; 0 once it is due or under way.
    write_retry_ns: Option<u64>,
    /// Writes that found no room, one after the other.
    no_room: u32,
    read_retry_ns: Option<u64>,
    cursor: CursorState,
    dropping: Dropping,
    ending: Ending,
    usage: Usage,
    dropped: Dropped,
    peaks: Peaks,
    upstream: VecDeque<(Receipt, Fate)>,
    owed: Owed,
}

#[derive(Debug, Default)]
struct CursorState {
    persisted: u64,
    due: bool,
    under_way: bool,
    failed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dropping {
    Idle,
    UnderWay {
        /// Something has changed since it was asked for: an answer that nothing could be dropped is out of date.
        changed: bool,
    },
    /// Nothing could be dropped; tried again when something has changed.
    Nothing,
}

#[derive(Debug, Default)]
struct Ending {
    stopped: bool,
    persist: bool,
    when_empty: bool,
    /// What is in flight is not waited for.
    forced: bool,
    finished: bool,
}

#[derive(Debug, Default)]
struct Peaks {
    frames: u64,
    memory_bytes: u64,
    disk_bytes: u64,
}

impl Fifo {
    /// A machine for a store that was opened with these findings.
    pub fn new(options: &SpillOptions, recovered: Recovered) -> Self {
        let usage = Usage {
            bytes: recovered.bytes,
            ..Usage::default()
        };
        let mut fifo = Self {
            memory: Memory::new(recovered.tail),
            ahead: ReadAhead::default(),
            flight: Flight::new(recovered.settled),
            hand: recovered.settled,
            queued: recovered.tail,
            committed: recovered.tail,
            spilling: recovered.tail > recovered.settled,
            generation: 1,
            write_retry_ns: None,
            no_room: 0,
            read_retry_ns: None,
            cursor: CursorState {
                persisted: recovered.settled,
                ..CursorState::default()
            },
            dropping: Dropping::Idle,
            ending: Ending::default(),
            usage,
            dropped: Dropped::default(),
            peaks: Peaks::default(),
            upstream: VecDeque::new(),
            owed: Owed::default(),
            options: options.clone(),
        };
        fifo.note_peaks();
        fifo
    }

    /// Takes a batch at the end of the line. Its receipt stays here until its fate is known.
    /// Always takes it (or drops it, under `when_full = "drop_newest"`): the bound is what [`Fifo::may_accept`] lets the actor grant.
    pub fn append(&mut self, mut batch: Batch, now_ns: u64) {
        if batch.is_empty() {
            let receipt = std::mem::replace(&mut batch.receipt, Receipt::none());
            return self.upstream.push_back((receipt, Fate::Delivered));
        }
        if self.options.when_full == WhenFull::DropNewest && self.is_full() {
            self.dropped.newest += batch.len() as u64;
            let receipt = std::mem::replace(&mut batch.receipt, Receipt::none());
            return self.upstream.push_back((receipt, Fate::Rejected));
        }
        if seeded::has(Bug::AcknowledgedAtArrival) {
            let receipt = std::mem::replace(&mut batch.receipt, Receipt::none());
            self.upstream.push_back((receipt, Fate::Delivered));
        }
        self.memory.push(batch, now_ns);
        if self.memory.waiting_bytes() > self.options.memory_bytes {
            self.spilling = true;
        }
        self.note_peaks();
    }

    /// True while upstream may be granted more: the actor releases the demand of what it received only then.
    pub fn may_accept(&self) -> bool {
        if self.ending.persist || self.ending.finished {
            return false;
        }
        if self.is_full() {
            return self.options.when_full == WhenFull::DropNewest;
        }
        self.memory.waiting_bytes() < self.most_memory_bytes()
    }

    /// The writer made everything up to `tail` durable.
    pub fn committed(&mut self, tail: u64, usage: Usage) {
        for (positions, receipt) in self.memory.committed(self.committed, tail) {
            if receipt.awaits_delivery() {
                self.owed.push(positions, receipt);
            } else {
                self.upstream.push_back((receipt, Fate::Delivered));
            }
        }
        self.settle_owed();
        self.committed = self.committed.max(tail);
        (self.write_retry_ns, self.no_room) = (None, 0);
        // Cursors read what is durable from the segments.
        let kept_bytes = if self.is_retaining() {
            0
        } else {
            self.options.memory_bytes
        };
        self.memory.evict(self.committed, kept_bytes);
        self.note_usage(usage);
    }

    /// What happens when it is full.
    pub fn when_full(&self) -> WhenFull {
        self.options.when_full
    }

    /// The writer failed: nothing since the last commit is durable. It is written again after a pause. `full`: there was no room for it
    /// (see [`SpillError::is_full_for`](crate::spill::SpillError::is_full_for)); nothing is ever dropped for another reason.
    pub fn write_failed(&mut self, now_ns: u64, full: bool) {
        self.generation += 1;
        self.memory.write_failed();
        self.no_room = if full { self.no_room + 1 } else { 0 };
        if !seeded::has(Bug::WriteNotRepeated) {
            self.queued = self.committed;
        }
        self.write_retry_ns = Some(now_ns + RETRY_NS);
        // The segment it failed in is closed now, and may be dropped.
        self.try_dropping_again();
    }

    /// What a read found. Positions it covered without a batch count as settled; the unreadable ones are counted.
    pub fn read_done(&mut self, found: Found) {
        self.dropped.unreadable += found.unreadable;
        let Some(from) = self.ahead.end() else { return };
        let mut covered = from;
        for (position, batch) in &found.batches {
            self.lose(covered..*position);
            covered = position + batch.len() as u64;
        }
        self.lose(covered..found.next);
        self.ahead.extend(found.batches, found.next);
        self.note_peaks();
    }

    /// The read could not be carried out; it is tried again after a pause.
    pub fn read_failed(&mut self, now_ns: u64) {
        let _ = self.ahead.end();
        self.read_retry_ns = Some(now_ns + RETRY_NS);
    }

    /// The cursor is durable, and segments below it are gone.
    pub fn cursor_persisted(&mut self, position: u64, usage: Usage) {
        self.cursor.under_way = false;
        self.cursor.failed = false;
        self.cursor.persisted = self.cursor.persisted.max(position);
        self.note_usage(usage);
    }

    /// The cursor could not be made durable; it lags, and is tried again at the next tick.
    pub fn cursor_failed(&mut self) {
        self.cursor.under_way = false;
        self.cursor.failed = true;
    }

    /// The answer to [`Effect::DropOldest`]: the frames of `range` are gone, or there was nothing to drop.
    pub fn oldest_dropped(&mut self, range: Option<Range<u64>>, usage: Usage) {
        self.usage = usage;
        let changed = range.is_some() || self.dropping == Dropping::UnderWay { changed: true };
        self.dropping = if changed { Dropping::Idle } else { Dropping::Nothing };
        if let Some(range) = range {
            self.dropped.oldest += self.lose(range);
            self.ahead.clear();
            self.write_at_once();
        }
    }

    /// A segment could not be deleted: it is tried again when something else has changed.
    pub fn drop_failed(&mut self) {
        self.dropping = Dropping::Nothing;
    }

    /// A batch that was handed down has settled.
    pub fn settled(&mut self, settled: Settled) {
        if let Some(range) = self.flight.settle(settled) {
            // What was done before the drop is done.
            let fate = if settled.fate == Fate::Dropped {
                Fate::Delivered
            } else {
                settled.fate
            };
            self.owed.note(&range, fate);
            for receipt in self.memory.settled(range.start, range.end, self.queued) {
                self.upstream.push_back((receipt, fate));
            }
            self.settle_owed();
        }
        if self.flight.renew() {
            self.hand = self.flight.settled();
            self.memory.taken_back();
            self.ahead.clear();
        }
        self.try_dropping_again();
    }

    /// Everything below `position`, which is durable, is gone or may go: for a store whose readers have cursors of their own.
    pub fn release(&mut self, position: u64) {
        let released = self.flight.settled()..position.min(self.committed);
        if !released.is_empty() {
            self.flight.mark(released);
        }
    }

    /// True when a store with cursors must give up its oldest frames, whoever has not read them: there is no room for what comes.
    pub fn needs_room(&self) -> bool {
        self.is_at_max_bytes() || (self.must_give_way() && self.options.when_full == WhenFull::DropOldest)
    }

    /// What the writer took last.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// A segment went although not all had settled it.
    pub fn retained(&mut self, range: Option<Range<u64>>, usage: Usage) {
        self.note_usage(usage);
        if let Some(range) = range {
            self.release(range.end);
            self.write_at_once();
        }
    }

    /// Time passes: `memory_age`, retries, the cursor. Call about ten times a second.
    pub fn tick(&mut self, now_ns: u64) {
        let age_ns = u64::try_from(self.options.memory_age.as_nanos()).unwrap_or(u64::MAX);
        let oldest_ns = self.memory.oldest_ns(self.queued);
        if oldest_ns.is_some_and(|arrived| now_ns.saturating_sub(arrived) >= age_ns) {
            self.spilling = true;
        }
        for retry in [&mut self.write_retry_ns, &mut self.read_retry_ns] {
            // A write that failed stays noted, as 0, until one succeeds.
            *retry = retry.map(|at| if now_ns >= at { 0 } else { at });
        }
        if self.read_retry_ns == Some(0) {
            self.read_retry_ns = None;
        }
        if self.no_room == 1 && self.is_full() {
            // Nothing is dropped before a second try: the new segment may fit where the one before did not.
            self.write_at_once();
        }
        self.cursor.due = true;
    }

    /// Shutdown, first step: hands nothing down any more. What is in flight still settles.
    pub fn stop_delivering(&mut self) {
        self.ending.stopped = true;
        self.ahead.clear();
    }

    /// Shutdown, last step: everything unsettled goes to disk, then [`Effect::Finished`].
    pub fn persist_rest(&mut self) {
        self.ending.stopped = true;
        self.ending.persist = true;
        self.spilling = true;
        self.cursor.due = true;
    }

    /// Upstream has ended: delivers everything, then [`Effect::Finished`].
    pub fn finish_when_empty(&mut self) {
        self.ending.when_empty = true;
        self.cursor.due = true;
    }

    /// Gives up writing at shutdown: upstream is told `Dropped`, what was in memory only is counted as lost, then [`Effect::Finished`].
    pub fn abandon(&mut self) {
        self.persist_rest();
        self.ending.forced = true;
        let committed = self.committed;
        let flight = &self.flight;
        let (receipts, frames) = self.memory.clear(|range| {
            if range.start < committed {
                0
            } else {
                flight.unsettled_in(range)
            }
        });
        self.dropped.abandoned += frames;
        self.upstream
            .extend(receipts.into_iter().map(|receipt| (receipt, Fate::Dropped)));
    }

    /// What is observable.
    pub fn state(&self) -> State {
        State {
            mode: self.mode(),
            backlog: self.spilling,
            full: self.is_full(),
            settled: self.flight.settled(),
            tail: self.memory.tail(),
            committed: self.committed,
            waiting_frames: self
                .flight
                .unsettled(self.memory.tail())
                .saturating_sub(self.dropped.abandoned),
            peak_frames: self.peaks.frames,
            memory_bytes: self.memory.bytes() + self.ahead.bytes(),
            peak_memory_bytes: self.peaks.memory_bytes,
            disk_bytes: self.usage.bytes,
            peak_disk_bytes: self.peaks.disk_bytes,
            in_flight_bytes: self.flight.bytes(),
            epoch: self.flight.epoch(),
            dropped: self.dropped,
            repeated: self.flight.repeated(),
        }
    }

    fn mode(&self) -> Mode {
        if self.ending.stopped || self.ending.finished {
            Mode::Draining
        } else if self.is_full() || !self.may_accept() {
            Mode::Blocked
        } else if self.is_writing() {
            Mode::Spilling
        } else {
            Mode::Memory
        }
    }

    fn is_writing(&self) -> bool {
        self.spilling || self.options.persist == Persist::Always
    }

    fn is_retaining(&self) -> bool {
        self.options.retention.is_some()
    }

    /// No room on disk for what may have to be written; or the disk has none, and memory is full.
    fn is_full(&self) -> bool {
        self.is_at_max_bytes() || (self.no_room > 0 && self.memory.waiting_bytes() >= self.most_memory_bytes())
    }

    fn is_at_max_bytes(&self) -> bool {
        let disk_bytes = self.usage.bytes + ENGINE_FACTOR * self.memory.volatile_bytes() + ENGINE_BYTES;
        disk_bytes >= self.options.max_bytes
    }

    /// The disk had no room twice, the last time just now: the oldest must make some before the next write. What somebody waits to
    /// be durable does not wait until memory is full.
    fn must_give_way(&self) -> bool {
        let failed_last = self.write_retry_ns.is_some_and(|at| at > 0);
        failed_last && self.no_room > 1 && (self.options.persist == Persist::Always || self.is_full())
    }

    /// Nothing is left to be written: what failed last says nothing of what comes.
    fn forget_failure(&mut self) {
        if !self.is_writing() {
            (self.write_retry_ns, self.no_room) = (None, 0);
        }
    }

    /// There may be room now: it is tried before anything else is dropped.
    fn write_at_once(&mut self) {
        self.write_retry_ns = self.write_retry_ns.map(|_| 0);
    }

    fn most_memory_bytes(&self) -> u64 {
        self.options.memory_bytes + 2 * self.options.commit_bytes
    }

    fn note_usage(&mut self, usage: Usage) {
        self.usage = usage;
        self.try_dropping_again();
        self.note_peaks();
    }

    fn try_dropping_again(&mut self) {
        self.dropping = match self.dropping {
            Dropping::UnderWay { .. } => Dropping::UnderWay { changed: true },
            Dropping::Idle | Dropping::Nothing => Dropping::Idle,
        };
    }

    fn note_peaks(&mut self) {
        let frames = self.flight.unsettled(self.memory.tail());
        self.peaks.frames = self.peaks.frames.max(frames);
        self.peaks.memory_bytes = self.peaks.memory_bytes.max(self.memory.bytes() + self.ahead.bytes());
        self.peaks.disk_bytes = self.peaks.disk_bytes.max(self.usage.bytes);
    }
}
