//! The whole store, its state machine and its files, against a simple model: random appends, commits, reads, receipts,
//! failures, full disks, kills and power cuts. Every frame comes down in order, and none is missing that was acknowledged, but for those
//! that `when_full` drops: they are exactly those that the store counts.

mod frames;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use aqueduct::framework::batch::Batch;
use aqueduct::framework::receipt::{Fate, Ledger, Settled};
use aqueduct::framework::spill::fifo::{Effect, Fifo};
use aqueduct::framework::spill::{Persist, SpillOptions, Storage, WhenFull};

use self::frames::{Known, Model};
use crate::disk::{Fault, Image, Kind, SimDisk};
use crate::random::Random;
use crate::run::Case;
use crate::store::{batch, frame, options};

const STEPS: u64 = 100;
/// More steps than any store needs to deliver what a run has left.
const DRAIN_STEPS: u64 = 20_000;
const TICK_NS: u64 = 400_000_000;

pub(crate) fn play(case: &mut Case) -> Result<(), String> {
    let mut world = World::new(case.seed);
    let played = world.play();
    case.count("frames", world.model.next_id);
    case.count("handed down", world.model.handed);
    case.count("crashes", world.crashes);
    case.count("failures met", world.failures);
    case.count("refused when full", world.refused);
    case.count("dropped when full", world.dropped);
    played
}

enum Command {
    Append(u64, Vec<(u64, Batch)>),
    Read(u64, u64, u64),
    Settle(u64),
    Drop(u64, u64),
}

struct Open {
    fifo: Fifo,
    storage: Storage,
    commands: VecDeque<Command>,
    gathered: bool,
    failed: Option<u64>,
    generation: u64,
    /// Receipt of what is handed down -> its frames.
    in_flight: Vec<(u64, u64, Vec<u64>)>,
    /// Upstream receipts settle here: first frame of the batch, and its fate.
    told: Arc<Mutex<Vec<(u64, Fate)>>>,
    ledger: Arc<Ledger>,
    batches: BTreeMap<u64, Vec<u64>>,
    /// First frames of batches that were not taken.
    refused: BTreeSet<u64>,
}

struct World {
    options: SpillOptions,
    random: Random,
    disk: SimDisk,
    open: Option<Open>,
    model: Model,
    now_ns: u64,
    demand: bool,
    crashes: u64,
    failures: u64,
    refused: u64,
    dropped: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let persist = if random.one_in(2) {
            Persist::Always
        } else {
            Persist::Overflow
        };
        let when_full = [WhenFull::Block, WhenFull::DropNewest, WhenFull::DropOldest][random.below(3) as usize];
        let options = SpillOptions {
            memory_bytes: 10_000 + random.below(40_000),
            commit_bytes: 20_000,
            segment_bytes: 60_000 + random.below(60_000),
            max_bytes: 400_000 + random.below(600_000),
            in_flight_bytes: 5_000 + random.below(20_000),
            read_ahead_bytes: 20_000,
            persist,
            when_full,
            ..options()
        };
        Self {
            options,
            random,
            disk: SimDisk::default(),
            open: None,
            model: Model::default(),
            now_ns: 0,
            demand: true,
            crashes: 0,
            failures: 0,
            refused: 0,
            dropped: 0,
        }
    }

    fn play(&mut self) -> Result<(), String> {
        for _ in 0..STEPS {
            self.step()?;
        }
        self.disk.fail(None);
        self.disk.limit(None);
        self.demand = true;
        for _ in 0..DRAIN_STEPS {
            self.reopen()?;
            self.time_passes();
            while self.work()? {}
            self.commit();
            self.settle_one(Fate::Delivered)?;
            self.effects()?;
            let Some(open) = &self.open else { continue };
            if open.fifo.state().waiting_frames == 0 && self.model.left() == 0 {
                return Ok(());
            }
        }
        let state = self.open.as_ref().map(|open| open.fifo.state());
        Err(format!(
            "comes to a stop with {} frames left: {state:?}",
            self.model.left()
        ))
    }

    fn step(&mut self) -> Result<(), String> {
        self.reopen()?;
        match self.random.below(100) {
            0..=29 => self.append()?,
            30..=54 => drop(self.work()?),
            55..=64 => self.commit(),
            65..=82 => {
                let fate = if self.random.one_in(12) {
                    Fate::Dropped
                } else {
                    Fate::Delivered
                };
                self.settle_one(fate)?;
            }
            83..=87 => self.time_passes(),
            88..=91 => self.demand = !self.demand,
            92..=94 => self.fail(),
            95..=96 => {
                let free = self.random.below(60_000);
                let full = self.random.one_in(2).then(|| self.disk.allocated() + free);
                self.disk.limit(full);
            }
            _ => self.crash(),
        }
        self.effects()
    }

    fn append(&mut self) -> Result<(), String> {
        let count = 1 + self.random.below(30);
        let Some(open) = &mut self.open else { return Ok(()) };
        if !open.fifo.may_accept() {
            return Ok(());
        }
        let first = self.model.next_id;
        let ids: Vec<u64> = (first..first + count).collect();
        let (position, mut batch) = (open.fifo.state().tail, batch(&ids));
        batch.receipt = open.ledger.issue(first, 1);
        let before = open.fifo.state().dropped.newest;
        open.fifo.append(batch, self.now_ns);
        self.model.next_id += count;
        match open.fifo.state().dropped.newest - before {
            0 => {}
            refused if refused == count && self.options.when_full == WhenFull::DropNewest => {
                self.refused += count;
                open.refused.insert(first);
                return Ok(());
            }
            refused => return Err(format!("{refused} frames of {count} are said to be refused")),
        }
        self.model.places.extend((position..).zip(ids.iter().copied()));
        let known = Known {
            acknowledged: false,
            settled: false,
            old: false,
            dropped: false,
        };
        self.model.frames.extend(ids.iter().map(|id| (*id, known)));
        open.batches.insert(first, ids);
        Ok(())
    }

    fn time_passes(&mut self) {
        self.now_ns += TICK_NS;
        if let Some(open) = &mut self.open {
            open.fifo.tick(self.now_ns);
        }
    }

    fn fail(&mut self) {
        let kinds = [Kind::Io, Kind::Full, Kind::Quota, Kind::TooLarge, Kind::Short];
        self.disk.fail(Some(Fault {
            kind: kinds[self.random.below(kinds.len() as u64) as usize],
            from: self.disk.operations() + 1 + self.random.below(30),
            times: 1 + self.random.below(3),
        }));
    }

    /// A kill leaves what was written, a power cut what was synced and any part of the rest.
    fn crash(&mut self) {
        let image: Image = if self.random.one_in(2) {
            self.disk.killed()
        } else {
            let mut images = self.disk.power_cut().images(&mut self.random, 2, 4);
            let one = self.random.below(images.len() as u64) as usize;
            images.swap_remove(one)
        };
        self.open = None;
        self.disk = SimDisk::of(&image);
        self.crashes += 1;
        self.model.crashed();
    }

    fn reopen(&mut self) -> Result<(), String> {
        if self.open.is_some() {
            return Ok(());
        }
        let Ok((storage, recovered)) = Storage::open_on(Arc::new(self.disk.clone()), &self.options) else {
            self.failures += 1;
            return match self.disk.faults_met() {
                0 => Err("does not start".to_owned()),
                _ => Ok(()),
            };
        };
        self.model.places.split_off(&recovered.tail);
        let told: Arc<Mutex<Vec<(u64, Fate)>>> = Arc::default();
        let teller = told.clone();
        self.open = Some(Open {
            fifo: Fifo::new(&self.options, recovered),
            storage,
            commands: VecDeque::new(),
            gathered: false,
            failed: None,
            generation: 0,
            in_flight: Vec::new(),
            ledger: Ledger::counting(move |settled: Settled| {
                teller.lock().unwrap().push((settled.token, settled.fate))
            }),
            told,
            batches: BTreeMap::new(),
            refused: BTreeSet::new(),
        });
        Ok(())
    }

    /// Carries out one command, as the store's thread does; false when there was none.
    fn work(&mut self) -> Result<bool, String> {
        let Some(open) = &mut self.open else { return Ok(false) };
        let Some(command) = open.commands.pop_front() else {
            return Ok(false);
        };
        match command {
            Command::Append(generation, _) if open.failed == Some(generation) => {}
            Command::Append(generation, batches) => {
                for (position, batch) in &batches {
                    if let Err(error) = open.storage.append(*position, batch) {
                        self.failures += 1;
                        (open.gathered, open.failed) = (false, Some(generation));
                        open.fifo.write_failed(self.now_ns, error.is_full());
                        break;
                    }
                    open.gathered = true;
                }
            }
            Command::Read(from, to, bytes) => match open.storage.read(from, to, bytes) {
                Ok(found) if found.unreadable > 0 => {
                    return Err(format!("{} frames are said to be lost", found.unreadable));
                }
                Ok(found) => open.fifo.read_done(found),
                Err(_) => {
                    self.failures += 1;
                    open.fifo.read_failed(self.now_ns);
                }
            },
            Command::Settle(position) => match open.storage.settle(position) {
                Ok(()) => open.fifo.cursor_persisted(position, open.storage.usage()),
                Err(_) => {
                    self.failures += 1;
                    open.fifo.cursor_failed();
                }
            },
            Command::Drop(from, to) => match open.storage.drop_oldest_segment(from..to) {
                Ok(range) => {
                    let before = open.fifo.state().dropped.oldest;
                    open.fifo.oldest_dropped(range.clone(), open.storage.usage());
                    let counted = open.fifo.state().dropped.oldest - before;
                    self.dropped += counted;
                    if let Some(range) = range {
                        let in_flight = open.in_flight.iter().find(|(token, ..)| range.contains(token));
                        if let Some((token, ..)) = in_flight {
                            return Err(format!("{range:?} was dropped, with {token} in flight"));
                        }
                        self.model.drop(range, counted)?;
                    }
                }
                Err(_) => {
                    self.failures += 1;
                    open.fifo.drop_failed();
                }
            },
        }
        Ok(true)
    }

    fn commit(&mut self) {
        let Some(open) = self.open.as_mut().filter(|open| open.gathered) else {
            return;
        };
        open.gathered = false;
        match open.storage.commit() {
            Ok(tail) => open.fifo.committed(tail, open.storage.usage()),
            Err(error) => {
                self.failures += 1;
                open.failed = Some(open.generation);
                open.fifo.write_failed(self.now_ns, error.is_full());
            }
        }
    }

    fn settle_one(&mut self, fate: Fate) -> Result<(), String> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if open.in_flight.is_empty() {
            return Ok(());
        }
        let one = self.random.below(open.in_flight.len() as u64) as usize;
        let (token, epoch, ids) = open.in_flight.remove(one);
        let counts = open.fifo.state().epoch == epoch;
        open.fifo.settled(Settled {
            token,
            epoch,
            fate,
            done_below: 0,
        });
        if fate == Fate::Delivered && counts {
            self.model.settled(&ids);
        }
        Ok(())
    }

    fn effects(&mut self) -> Result<(), String> {
        let Some(open) = &mut self.open else { return Ok(()) };
        while let Some(effect) = open.fifo.next(self.demand) {
            match effect {
                Effect::Hand {
                    token, epoch, batch, ..
                } => {
                    let ids = ids(&batch)?;
                    self.model.hand(epoch, &ids)?;
                    open.in_flight.push((token, epoch, ids));
                }
                Effect::Write { generation, batches } => {
                    open.generation = generation;
                    open.commands.push_back(Command::Append(generation, batches));
                }
                Effect::Read { from, to, bytes } => open.commands.push_back(Command::Read(from, to, bytes)),
                Effect::PersistCursor { position } => open.commands.push_back(Command::Settle(position)),
                Effect::SettleUpstream { receipt, fate } => receipt.settle(fate),
                Effect::DropOldest { from, to } if self.options.when_full == WhenFull::DropOldest => {
                    open.commands.push_back(Command::Drop(from, to));
                }
                Effect::DropOldest { .. } | Effect::Finished => return Err("an effect nobody asked for".to_owned()),
            }
        }
        for (first, fate) in std::mem::take(&mut *open.told.lock().unwrap()) {
            if open.refused.contains(&first) != (fate == Fate::Rejected) {
                return Err(format!("the receipt of the batch from {first} on says {fate:?}"));
            }
            if let Some(ids) = open.batches.remove(&first).filter(|_| fate == Fate::Delivered) {
                self.model.acknowledged(&ids);
            }
        }
        Ok(())
    }
}

fn ids(batch: &Batch) -> Result<Vec<u64>, String> {
    let mut ids = Vec::with_capacity(batch.len());
    for index in 0..batch.len() {
        let bytes = &batch.payload[batch.span(index)];
        let digits = bytes.split(|byte| *byte == b':').next().unwrap_or_default();
        let id = std::str::from_utf8(digits).ok().and_then(|id| id.parse().ok());
        let id = id
            .filter(|id| bytes == frame(*id))
            .ok_or("a frame that nobody appended")?;
        ids.push(id);
    }
    Ok(ids)
}
