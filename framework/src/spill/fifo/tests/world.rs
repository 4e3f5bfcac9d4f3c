//! The writer, the disk, the sink and the upstream of a machine, all trivial, and what must be true of them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use super::Step;
use crate::batch::Batch;
use crate::receipt::{Fate, Ledger, Settled};
use crate::spill::fifo::{Effect, Fifo};
use crate::spill::record::slice;
use crate::spill::testing::batch_of;
use crate::spill::{Found, Persist, Recovered, SpillOptions, Usage};

/// The most one batch of these tests costs.
const BATCH_BYTES: u64 = 9_000;

/// A machine and its surroundings.
pub(super) struct World {
    options: SpillOptions,
    fifo: Fifo,
    now_ns: u64,
    demand: bool,
    /// Commands to the storage thread, not carried out yet.
    writes: Vec<(u64, Vec<(u64, Batch)>)>,
    read: Option<(u64, u64, u64)>,
    cursor_due: Option<u64>,
    drop_due: Option<(u64, u64)>,
    /// The disk: segments of batches; the last one is open.
    segments: VecDeque<Vec<(u64, Batch)>>,
    durable: u64,
    cursor: u64,
    ignored_generation: u64,
    /// Handed down and not settled.
    below: Vec<(u64, u64, u64)>,
    /// What the machine holds: position -> number of the frame.
    held: BTreeMap<u64, u64>,
    handed_to: u64,
    epoch: u64,
    ledger: Arc<Ledger>,
    /// Of the batches of an even number, for which somebody waits until they are delivered.
    awaiting: Arc<Ledger>,
    /// At the end what is on disk is settled, too.
    persisting: bool,
    told: Arc<Mutex<Vec<Settled>>>,
    /// Token of an upstream receipt -> its frames' numbers.
    sent: BTreeMap<u64, Vec<u64>>,
    done: BTreeSet<u64>,
    dropped_oldest: BTreeSet<u64>,
    next_number: u64,
    finished: bool,
    crashed: bool,
}

impl World {
    pub(super) fn new(options: SpillOptions) -> Self {
        let told = Arc::new(Mutex::new(Vec::new()));
        let (report, also) = (told.clone(), told.clone());
        Self {
            fifo: Fifo::new(&options, Recovered::default()),
            options,
            now_ns: 0,
            demand: true,
            writes: Vec::new(),
            read: None,
            cursor_due: None,
            drop_due: None,
            segments: VecDeque::from([Vec::new()]),
            durable: 0,
            cursor: 0,
            ignored_generation: 0,
            below: Vec::new(),
            held: BTreeMap::new(),
            handed_to: 0,
            epoch: 1,
            ledger: Ledger::counting(move |settled| report.lock().unwrap().push(settled)),
            awaiting: Ledger::awaiting_delivery(move |settled| also.lock().unwrap().push(settled)),
            persisting: false,
            told,
            sent: BTreeMap::new(),
            done: BTreeSet::new(),
            dropped_oldest: BTreeSet::new(),
            next_number: 0,
            finished: false,
            crashed: false,
        }
    }

    fn usage(&self) -> Usage {
        let batches = self.segments.iter().flatten();
        Usage {
            bytes: batches.map(|(_, batch)| batch.payload.len() as u64).sum(),
            ..Usage::default()
        }
    }

    pub(super) fn step(&mut self, step: &Step) {
        match *step {
            Step::Append { frames } => self.append(frames),
            Step::Commit => self.commit(),
            Step::FailCommit => self.fail_commit(),
            Step::Read => self.do_read(),
            Step::FailRead => {
                if self.read.take().is_some() {
                    self.fifo.read_failed(self.now_ns);
                }
            }
            Step::Cursor => self.persist_cursor(),
            Step::FailCursor => {
                if self.cursor_due.take().is_some() {
                    self.fifo.cursor_failed();
                }
            }
            Step::DropOldest => self.drop_oldest(),
            Step::Deliver { which, reject } => {
                self.settle(which, if reject { Fate::Rejected } else { Fate::Delivered }, 0)
            }
            Step::DropBelow { which, done } => self.settle(which, Fate::Dropped, done as u64),
            Step::Demand(demand) => self.demand = demand,
            Step::Tick { ms } => {
                self.now_ns += ms * 1_000_000;
                self.fifo.tick(self.now_ns);
            }
            Step::Crash => self.crash(),
        }
        self.effects();
        self.check();
    }

    pub(super) fn holds_frames(&self) -> bool {
        !self.held.is_empty()
    }

    fn append(&mut self, frames: u64) {
        if !self.fifo.may_accept() {
            return;
        }
        let first = self.next_number;
        self.next_number += frames;
        let lines: Vec<String> = (first..first + frames)
            .map(|number| format!("{number:0>900}"))
            .collect();
        let mut batch = batch_of(first, lines.iter().map(String::as_str));
        let even = first.is_multiple_of(2);
        batch.receipt = if even { &self.awaiting } else { &self.ledger }.issue(first, 1);
        let before = self.fifo.state();
        self.fifo.append(batch, self.now_ns);
        self.sent.insert(first, (first..first + frames).collect());
        if self.fifo.state().tail > before.tail {
            for index in 0..frames {
                self.held.insert(before.tail + index, first + index);
            }
        } else {
            let dropped = self.fifo.state().dropped.newest - before.dropped.newest;
            assert_eq!(dropped, frames, "what is not taken is counted");
            self.done.extend(first..first + frames);
        }
    }

    fn commit(&mut self) {
        let mut wrote = false;
        for (generation, batches) in std::mem::take(&mut self.writes) {
            if generation <= self.ignored_generation {
                continue;
            }
            for (position, batch) in batches {
                assert!(position >= self.durable, "written once and in order");
                self.durable = position + batch.len() as u64;
                self.segments.back_mut().unwrap().push((position, batch));
                wrote = true;
            }
        }
        if wrote {
            let open: usize = self
                .segments
                .back()
                .unwrap()
                .iter()
                .map(|(_, batch)| batch.payload.len())
                .sum();
            if open as u64 >= self.options.segment_bytes {
                self.segments.push_back(Vec::new());
            }
            self.fifo.committed(self.durable, self.usage());
        }
    }

    fn fail_commit(&mut self) {
        let generation = self.writes.iter().map(|(generation, _)| *generation).max();
        if let Some(generation) = generation.filter(|generation| *generation > self.ignored_generation) {
            self.ignored_generation = generation;
            self.writes.clear();
            self.fifo.write_failed(self.now_ns, true);
        }
    }

    fn do_read(&mut self) {
        let Some((from, to, bytes)) = self.read.take() else {
            return;
        };
        let mut found = Found {
            next: from,
            ..Found::default()
        };
        let mut taken = 0;
        for (position, batch) in self.segments.iter().flatten() {
            let end = position + batch.len() as u64;
            if end <= from {
                continue;
            }
            if *position >= to || taken >= bytes {
                break;
            }
            let skip = from.saturating_sub(*position);
            // Two pieces of one batch, as when a record became full in the middle of it.
            for range in [skip..skip.max(1), skip.max(1)..batch.len() as u64] {
                if !range.is_empty() {
                    let part = slice(batch, range.start as usize, range.end as usize);
                    taken += part.payload.len() as u64;
                    found.next = position + range.end;
                    found.batches.push((position + range.start, part));
                }
            }
        }
        if taken < bytes {
            found.next = to;
        }
        self.fifo.read_done(found);
    }

    fn persist_cursor(&mut self) {
        let Some(position) = self.cursor_due.take() else { return };
        let unsettled = self.held.keys().next().copied().unwrap_or(u64::MAX);
        assert!(position <= unsettled, "the cursor never leads");
        self.cursor = position;
        while self.segments.len() > 1 && ends_below(&self.segments[0], position) {
            self.segments.pop_front();
        }
        if ends_below(&self.segments[0], position) {
            self.segments[0].clear();
        }
        self.fifo.cursor_persisted(position, self.usage());
    }

    fn drop_oldest(&mut self) {
        let Some((from, to)) = self.drop_due.take() else { return };
        let closed = self.segments.len() - 1;
        let chosen =
            self.segments.iter().take(closed).position(|segment| {
                segment.first().is_some_and(|(first, _)| *first >= from) && ends_below(segment, to)
            });
        let Some(index) = chosen else {
            return self.fifo.oldest_dropped(None, self.usage());
        };
        let gone = self.segments.remove(index).unwrap();
        let start = gone[0].0;
        let end = gone
            .last()
            .map(|(position, batch)| position + batch.len() as u64)
            .unwrap();
        assert!(
            self.below
                .iter()
                .all(|(token, _, frames)| token + frames <= start || *token >= end),
            "in flight"
        );
        let before = self.fifo.state().dropped.oldest;
        self.fifo.oldest_dropped(Some(start..end), self.usage());
        let positions: Vec<u64> = self.held.range(start..end).map(|(position, _)| *position).collect();
        let counted = self.fifo.state().dropped.oldest - before;
        // After a restart nobody knows which gaps in a segment were settled from memory: they are counted too.
        assert!(counted == positions.len() as u64 || (self.crashed && counted > positions.len() as u64));
        for position in positions {
            let number = self.held.remove(&position).unwrap();
            self.dropped_oldest.insert(number);
        }
    }

    fn settle(&mut self, which: usize, fate: Fate, done: u64) {
        if self.below.is_empty() {
            return;
        }
        let (token, epoch, frames) = self.below.remove(which % self.below.len());
        let done = if fate == Fate::Dropped {
            done.min(frames)
        } else {
            frames
        };
        // Those behind the last are not below it.
        let done_below = self.held.get(&(token + done)).copied().unwrap_or(u64::MAX);
        for position in token..token + done {
            self.done.insert(self.held.remove(&position).expect("settled once"));
        }
        self.fifo.settled(Settled {
            token,
            epoch,
            fate,
            done_below,
        });
    }

    fn crash(&mut self) {
        self.crashed = true;
        self.check_receipts();
        self.writes.clear();
        (self.read, self.cursor_due, self.drop_due) = (None, None, None);
        self.below.clear();
        // Everything not durable is gone; upstream was not told otherwise.
        let acknowledged = self.acknowledged();
        self.held.clear();
        for (position, batch) in self.segments.iter().flatten() {
            for index in 0..batch.len() {
                if position + index as u64 >= self.cursor {
                    self.held.insert(position + index as u64, batch.frame(index).number());
                }
            }
        }
        let tail = self.durable.max(self.cursor);
        self.durable = tail;
        self.fifo = Fifo::new(
            &self.options,
            Recovered {
                settled: self.cursor,
                tail,
                frames: tail - self.cursor,
                bytes: self.usage().bytes,
                ..Recovered::default()
            },
        );
        (self.handed_to, self.epoch, self.ignored_generation) = (self.cursor, 1, 0);
        let kept: BTreeSet<u64> = self.held.values().copied().collect();
        for number in acknowledged {
            assert!(
                kept.contains(&number) || self.done.contains(&number) || self.dropped_oldest.contains(&number),
                "frame {number} was acknowledged and lost"
            );
        }
    }

    fn acknowledged(&self) -> Vec<u64> {
        let told = self.told.lock().unwrap();
        let good = told.iter().filter(|settled| settled.fate != Fate::Dropped);
        good.flat_map(|settled| self.sent[&settled.token].clone()).collect()
    }

    fn effects(&mut self) {
        while let Some(effect) = self.fifo.next(self.demand) {
            match effect {
                Effect::Hand {
                    token, epoch, batch, ..
                } => self.handed(token, epoch, &batch),
                Effect::Write { generation, batches } => self.writes.push((generation, batches)),
                Effect::Read { from, to, bytes } => assert!(self.read.replace((from, to, bytes)).is_none()),
                Effect::SettleUpstream { receipt, fate } => {
                    let awaits = receipt.awaits_delivery();
                    receipt.settle(fate);
                    if awaits && fate != Fate::Dropped && !self.persisting {
                        self.check_delivered();
                    }
                }
                Effect::PersistCursor { position } => assert!(self.cursor_due.replace(position).is_none()),
                Effect::DropOldest { from, to } => assert!(self.drop_due.replace((from, to)).is_none()),
                Effect::Finished => self.finished = true,
            }
        }
    }

    /// What was settled last is with somebody, or counted as dropped.
    fn check_delivered(&self) {
        let told = self.told.lock().unwrap().last().copied().expect("one was settled");
        for number in &self.sent[&told.token] {
            let gone = self.dropped_oldest.contains(number);
            assert!(
                self.done.contains(number) || gone,
                "frame {number} is settled before it is delivered"
            );
            assert!(
                !gone || told.fate == Fate::Rejected,
                "frame {number} was dropped, not delivered"
            );
        }
    }

    fn handed(&mut self, token: u64, epoch: u64, batch: &Batch) {
        if epoch != self.epoch {
            assert!(self.below.is_empty(), "an epoch begins when the last one has come back");
            (self.epoch, self.handed_to) = (epoch, 0);
        }
        let expected = self.held.range(self.handed_to..).next().map(|(position, _)| *position);
        assert_eq!(
            Some(token),
            expected,
            "the oldest unsettled frame not handed down is next"
        );
        for frame in batch.frames() {
            let position = token + frame.index() as u64;
            assert_eq!(
                self.held.get(&position),
                Some(&frame.number()),
                "the right frame at {position}"
            );
        }
        if self.options.persist == Persist::Always {
            assert!(
                token + batch.len() as u64 <= self.durable,
                "durable before it is handed down"
            );
        }
        self.handed_to = token + batch.len() as u64;
        self.below.push((token, epoch, batch.len() as u64));
    }

    fn check(&self) {
        let state = self.fifo.state();
        let memory = self.options.memory_bytes + 2 * self.options.commit_bytes;
        let ahead = 2 * self.options.read_ahead_bytes;
        assert!(state.memory_bytes <= memory + ahead + 3 * BATCH_BYTES, "{state:?}");
        assert!(state.in_flight_bytes <= self.options.in_flight_bytes, "{state:?}");
        assert!(state.waiting_frames >= self.held.len() as u64, "{state:?}");
        let most_disk = self.options.max_bytes + BATCH_BYTES;
        assert!(state.disk_bytes <= most_disk, "{state:?}");
    }

    fn check_receipts(&self) {
        let told = self.told.lock().unwrap();
        let mut tokens: Vec<u64> = told.iter().map(|settled| settled.token).collect();
        let all = tokens.len();
        tokens.sort_unstable();
        tokens.dedup();
        assert_eq!(tokens.len(), all, "each upstream receipt is settled once");
    }

    /// Everything gets its turn until the machine has finished.
    pub(super) fn finish(&mut self, persist: bool) {
        self.demand = true;
        if persist {
            self.persisting = true;
            self.fifo.stop_delivering();
            self.fifo.persist_rest();
        } else {
            self.fifo.finish_when_empty();
        }
        for _ in 0..2_000 {
            for step in [
                Step::Commit,
                Step::Read,
                Step::DropOldest,
                Step::Cursor,
                Step::Tick { ms: 1_001 },
            ] {
                self.step(&step);
            }
            self.step(&Step::Deliver {
                which: 0,
                reject: false,
            });
            if self.finished {
                break;
            }
        }
        assert!(self.finished, "it hangs: {:?}", self.fifo.state());
        assert_eq!(
            self.told.lock().unwrap().len(),
            self.sent.len(),
            "each upstream receipt is settled"
        );
        self.check_receipts();
        let on_disk: BTreeSet<u64> = self.held.values().copied().collect();
        assert!(persist || on_disk.is_empty());
        for number in self.acknowledged() {
            let known = self.done.contains(&number) || self.dropped_oldest.contains(&number);
            assert!(
                known || (persist && on_disk.contains(&number)),
                "frame {number} is lost"
            );
        }
        assert!(
            !persist || self.held.keys().all(|position| *position < self.durable),
            "all is on disk"
        );
    }
}

fn ends_below(segment: &[(u64, Batch)], position: u64) -> bool {
    segment
        .last()
        .is_some_and(|(last, batch)| last + batch.len() as u64 <= position)
}
