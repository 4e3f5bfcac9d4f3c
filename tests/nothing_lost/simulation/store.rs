//! The spill store: the real machine, and a model of its disk.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use aqueduct::framework::batch::{Batch, BatchBuilder};
use aqueduct::framework::receipt::{Fate, Ledger, Receipt, Settled};
use aqueduct::framework::spill::fifo::{Effect, Fifo};
use aqueduct::framework::spill::{Found, Recovered, SpillOptions, Usage};

use super::edge::Edge;
use super::upstream::number;

/// The machine, the disk, and the commands between the two.
pub(crate) struct Store {
    options: SpillOptions,
    fifo: Fifo,
    /// Costs of batches taken whose demand is not returned yet.
    holding: Vec<usize>,
    writes: VecDeque<(u64, Vec<(u64, Batch)>)>,
    ignored_generation: u64,
    read: Option<(u64, u64, u64)>,
    cursor_due: Option<u64>,
    disk: VecDeque<(u64, Batch)>,
    durable: u64,
    cursor: u64,
    ledger: Arc<Ledger>,
    told: Arc<Mutex<VecDeque<Settled>>>,
    /// What each token stands for.
    handed: BTreeMap<u64, Vec<u64>>,
    /// Frames whose delivery was told: they must not go down again.
    delivered: BTreeSet<u64>,
    pub(crate) finished: bool,
}

impl Store {
    pub(crate) fn new(options: SpillOptions) -> Self {
        let (ledger, told) = ledger();
        Self {
            fifo: Fifo::new(&options, Recovered::default()),
            options,
            holding: Vec::new(),
            writes: VecDeque::new(),
            ignored_generation: 0,
            read: None,
            cursor_due: None,
            disk: VecDeque::new(),
            durable: 0,
            cursor: 0,
            ledger,
            told,
            handed: BTreeMap::new(),
            delivered: BTreeSet::new(),
            finished: false,
        }
    }

    /// A turn of the actor: takes what has come, then does what the machine decides.
    pub(crate) fn turn(&mut self, now_ns: u64, above: &mut Edge, below: &mut Edge) {
        while let Some(batch) = above.receive() {
            self.holding.push(batch.cost());
            self.fifo.append(batch, now_ns);
        }
        while let Some(effect) = self.fifo.next(below.may_send()) {
            match effect {
                Effect::Hand {
                    token,
                    epoch,
                    mut batch,
                    ..
                } => {
                    let frames: Vec<u64> = batch.frames().map(|frame| number(frame.bytes())).collect();
                    let again = frames.iter().find(|frame| self.delivered.contains(frame));
                    assert_eq!(again, None, "a frame goes down again though it was delivered");
                    self.handed.insert(token, frames);
                    batch.receipt = self.ledger.issue(token, epoch);
                    below.send(batch);
                }
                Effect::Write { generation, batches } => self.writes.push_back((generation, batches)),
                Effect::Read { from, to, bytes } => assert!(self.read.replace((from, to, bytes)).is_none()),
                Effect::SettleUpstream { receipt, fate } => receipt.settle(fate),
                Effect::PersistCursor { position } => assert!(self.cursor_due.replace(position).is_none()),
                Effect::DropOldest { .. } => panic!("this store blocks when it is full"),
                Effect::Finished => self.finished = true,
            }
        }
        if self.fifo.may_accept() {
            self.holding.drain(..).for_each(|cost| above.release(cost));
            above.idle();
        }
    }

    /// The disk takes the oldest `commands` of what waits for it.
    pub(crate) fn commit(&mut self, commands: usize) {
        for (generation, batches) in self.writes.drain(..commands.min(self.writes.len())) {
            if generation <= self.ignored_generation {
                continue;
            }
            for (position, batch) in batches {
                assert!(position >= self.durable, "written once and in order");
                self.durable = position + batch.len() as u64;
                self.disk.push_back((position, batch));
            }
            let usage = usage(&self.disk);
            self.fifo.committed(self.durable, usage);
        }
    }

    pub(crate) fn fail_write(&mut self, now_ns: u64) {
        let generation = self.writes.iter().map(|(generation, _)| *generation).max();
        if let Some(generation) = generation.filter(|generation| *generation > self.ignored_generation) {
            self.ignored_generation = generation;
            self.writes.clear();
            self.fifo.write_failed(now_ns, true);
        }
    }

    pub(crate) fn do_read(&mut self) {
        let Some((from, to, bytes)) = self.read.take() else {
            return;
        };
        let mut found = Found {
            next: from,
            ..Found::default()
        };
        let mut taken = 0;
        for (position, batch) in &self.disk {
            let end = position + batch.len() as u64;
            if *position >= to || taken >= bytes {
                break;
            }
            if end > from {
                let part = behind(batch, from.saturating_sub(*position) as usize);
                taken += part.cost() as u64;
                found.next = end;
                found.batches.push((from.max(*position), part));
            }
        }
        if taken < bytes {
            found.next = to;
        }
        self.fifo.read_done(found);
    }

    pub(crate) fn fail_read(&mut self, now_ns: u64) {
        if self.read.take().is_some() {
            self.fifo.read_failed(now_ns);
        }
    }

    pub(crate) fn persist_cursor(&mut self) {
        let Some(position) = self.cursor_due.take() else { return };
        assert!(position >= self.cursor, "the cursor never goes back");
        self.cursor = position;
        let done = |(first, batch): &(u64, Batch)| first + batch.len() as u64 <= position;
        while self.disk.front().is_some_and(done) {
            self.disk.pop_front();
        }
        self.fifo.cursor_persisted(position, usage(&self.disk));
    }

    /// One receipt arrives. True: there was one.
    pub(crate) fn hear(&mut self) -> bool {
        let settled = self.told.lock().unwrap().pop_front();
        if let Some(settled) = settled {
            let frames = self.handed.remove(&settled.token).expect("it was handed down");
            if settled.fate != Fate::Dropped {
                self.delivered.extend(frames);
            }
            self.fifo.settled(settled);
        }
        settled.is_some()
    }

    pub(crate) fn tick(&mut self, now_ns: u64) {
        self.fifo.tick(now_ns);
    }

    pub(crate) fn stop_delivering(&mut self) {
        self.fifo.stop_delivering();
    }

    pub(crate) fn persist_rest(&mut self) {
        self.fifo.persist_rest();
    }

    /// Everything but the disk is gone, and the store is opened again. Returns the frames on disk that are not settled.
    pub(crate) fn crash(&mut self) -> BTreeSet<u64> {
        self.durable = self.durable.max(self.cursor);
        let recovered = Recovered {
            settled: self.cursor,
            tail: self.durable,
            frames: self.durable - self.cursor,
            bytes: usage(&self.disk).bytes,
            ..Recovered::default()
        };
        (self.ledger, self.told) = ledger();
        self.fifo = Fifo::new(&self.options, recovered);
        self.holding.clear();
        self.handed.clear();
        self.delivered.clear();
        self.writes.clear();
        (self.read, self.cursor_due, self.ignored_generation) = (None, None, 0);
        self.finished = false;
        let mut kept = BTreeSet::new();
        for (position, batch) in &self.disk {
            let unsettled = self.cursor.saturating_sub(*position) as usize;
            kept.extend(batch.frames().skip(unsettled).map(|frame| number(frame.bytes())));
        }
        kept
    }

    /// Commands that wait for the disk: writes, a read, a cursor.
    pub(crate) fn asked(&self) -> (usize, bool, bool) {
        (self.writes.len(), self.read.is_some(), self.cursor_due.is_some())
    }

    /// How many receipts are on their way up.
    pub(crate) fn told(&self) -> usize {
        self.told.lock().unwrap().len()
    }

    /// The receipt at this place is the next to arrive.
    pub(crate) fn hear_first(&mut self, which: usize) {
        let mut told = self.told.lock().unwrap();
        let settled = told.remove(which).expect("it is on its way");
        told.push_front(settled);
    }

    /// Two stores with the same text behave the same.
    pub(crate) fn fingerprint(&self) -> String {
        format!(
            "{:?}",
            (
                &self.fifo,
                &self.holding,
                &self.writes,
                &self.read,
                &self.cursor_due,
                &self.disk,
                &self.told
            )
        )
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.fifo.state().waiting_frames == 0
    }

    pub(crate) fn check(&self, window_bytes: u64) {
        let (state, options) = (self.fifo.state(), &self.options);
        assert!(
            state.in_flight_bytes <= options.in_flight_bytes.max(BATCH_BYTES),
            "{state:?}"
        );
        let memory = options.memory_bytes + 2 * options.commit_bytes + 2 * options.read_ahead_bytes;
        assert!(
            state.memory_bytes <= memory + window_bytes + 4 * BATCH_BYTES,
            "{state:?}"
        );
    }
}

/// The most one batch of the simulation costs: one read, or 4 KiB.
pub(crate) const BATCH_BYTES: u64 = 8_192;

/// The frames of a batch from `skip` on.
fn behind(batch: &Batch, skip: usize) -> Batch {
    let mut builder = BatchBuilder::with_layout(&batch.numbers, batch.layout.clone());
    builder.push_range(batch, skip, batch.len());
    builder.finish(0, None, Receipt::none())
}

fn usage(disk: &VecDeque<(u64, Batch)>) -> Usage {
    Usage {
        bytes: disk.iter().map(|(_, batch)| batch.payload.len() as u64).sum(),
        ..Usage::default()
    }
}

type Told = Arc<Mutex<VecDeque<Settled>>>;

fn ledger() -> (Arc<Ledger>, Told) {
    let told = Told::default();
    let report = told.clone();
    let ledger = Ledger::redelivering(move |settled| report.lock().unwrap().push_back(settled));
    (ledger, told)
}
