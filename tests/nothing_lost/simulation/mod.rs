//! A whole pipeline of the real state machines, without threads, sockets or files: a seed decides what happens next.
//!
//! ```text
//! sender -> connection -> Cutter -> [edge] -> Fifo, a model of a disk -> [edge] -> Reorder -> [edge] -> Delivery -> destination
//! ```
//! An edge is a `DemandLedger` and a `Window` with messages under way between them; receipts travel as they do in a pipeline.
//! Faults: connections break on both sides, the destination stays away, grants come twice, workers reject or panic, the sender gives up, writes and
//! reads fail, the process crashes.
//!
//! What must hold: no acknowledged frame is lost; order; whole frames only; every edge keeps to its window and one batch; a frame
//! comes again only behind a drop or a crash; and when the faults end, everything that is not lost for good is delivered.

mod below;
mod destination;
pub(crate) mod edge;
pub(crate) mod store;
pub(crate) mod upstream;

use std::collections::BTreeSet;
use std::time::Duration;

use aqueduct::framework::spill::{Persist, SpillOptions};

use self::below::{Processor, Sender, Work};
use self::destination::Destination;
use self::edge::Edge;
use self::store::Store;
use self::upstream::Upstream;
use crate::run::Case;

const STEPS: u64 = 500;
/// Rounds after which a pipeline without faults must have delivered everything.
const PATIENCE_ROUNDS: u64 = 20_000;

pub(crate) fn play(case: &mut Case) -> Result<(), String> {
    let mut pipeline = Pipeline::new(case.random());
    pipeline.run();
    case.count("frames", pipeline.upstream.next);
    case.count("crashes", pipeline.crashes);
    case.count("came again as they may", pipeline.destination.repeats);
    Ok(())
}

struct Pipeline {
    random: fastrand::Rng,
    now_ns: u64,
    windows: [u64; 3],
    upstream: Upstream,
    edges: [Edge; 3],
    store: Store,
    processor: Processor,
    sender: Sender,
    destination: Destination,
    faults: u64,
    crashes: u64,
}

impl Pipeline {
    fn new(mut random: fastrand::Rng) -> Self {
        let windows = std::array::from_fn(|_| random.u64(4_096..20_000));
        let options = SpillOptions {
            persist: if random.bool() {
                Persist::Always
            } else {
                Persist::Overflow
            },
            memory_bytes: random.u64(4_096..40_000),
            memory_age: Duration::from_millis(random.u64(10..2_000)),
            // The first 128 KiB are the engine's own.
            max_bytes: 131_072 + random.u64(40_000..400_000),
            commit_bytes: 8_192,
            in_flight_bytes: random.u64(store::BATCH_BYTES..30_000),
            read_ahead_bytes: 8_192,
            ..SpillOptions::new("unused")
        };
        Self {
            now_ns: 0,
            windows,
            upstream: Upstream::new(),
            edges: windows.map(Edge::new),
            store: Store::new(options),
            processor: Processor::new(),
            sender: Sender::new(),
            destination: Destination::new(),
            // Some pipelines see hardly any fault, so that their queues fill.
            faults: random.u64(0..30),
            crashes: 0,
            random,
        }
    }

    fn run(&mut self) {
        for _ in 0..STEPS {
            if self.random.u64(0..1_000) < self.faults {
                self.fault();
            } else {
                let what = self.random.u64(0..20);
                self.step(what);
            }
            self.check();
        }
        if self.random.bool() {
            self.shut_down();
        }
        self.deliver_the_rest();
    }

    /// Something that may happen at any time.
    fn step(&mut self, what: u64) {
        let [above, middle, below] = &mut self.edges;
        let bytes = self.random.usize(1..2_000);
        let read_bytes = self.random.usize(1..store::BATCH_BYTES as usize - 1_000);
        match what {
            0..=2 => self.upstream.push(self.random.u64(1..10)),
            3..=5 => self.upstream.read(read_bytes, above),
            6 => above.grant(self.random.bool()),
            7 => middle.grant(self.random.bool()),
            8 => below.grant(self.random.bool()),
            9..=10 => self.store.turn(self.now_ns, above, middle),
            11 => self.store.commit(self.random.usize(1..5)),
            12 => self.store.do_read(),
            13 => self.store.persist_cursor(),
            14 => drop(self.store.hear()),
            15 => self.processor.take(middle),
            16 => {
                let how = if self.random.u8(0..10) == 0 {
                    Work::Reject
                } else {
                    Work::PassOn
                };
                let rejected = self.processor.work(self.random.usize(0..3), how);
                self.destination.do_without(rejected);
            }
            17 => self.processor.pass_on(middle, below),
            18 => {
                let random = self.random.f64();
                self.sender
                    .turn(self.now_ns, random, bytes, below, &mut self.destination);
            }
            _ => {
                self.now_ns += self.random.u64(0..100_000_000);
                self.store.tick(self.now_ns);
            }
        }
    }

    fn fault(&mut self) {
        let [_, _, below] = &mut self.edges;
        match self.random.u64(0..10) {
            0 => self.upstream.reset(&mut self.destination.lost),
            1..=2 => self.sender.lose_connection(&mut self.destination),
            3..=4 => {
                self.sender.lose_connection(&mut self.destination);
                let away_ns = self.random.u64(0..2_000_000_000);
                self.destination.stay_away(self.now_ns + away_ns);
            }
            5 => {
                self.destination.disturb();
                self.processor.work(self.random.usize(0..3), Work::Panic);
            }
            6 => {
                self.destination.disturb();
                self.sender.give_up(below, &mut self.destination);
            }
            7 => self.store.fail_write(self.now_ns),
            8 => self.store.fail_read(self.now_ns),
            _ => self.crash(),
        }
    }

    /// The process ends at once and is started again.
    fn crash(&mut self) {
        self.crashes += 1;
        self.destination.disturb();
        self.destination.connection_ends();
        self.upstream.crash(&mut self.destination.lost);
        self.edges = self.windows.map(Edge::new);
        self.processor = Processor::new();
        self.sender = Sender::new();
        let kept = self.store.crash();
        let gone = |number: &u64| !kept.contains(number) && !self.destination.has(*number);
        let lost: BTreeSet<u64> = (0..self.upstream.next).filter(gone).collect();
        let acknowledged = self.upstream.acknowledged.intersection(&lost).next();
        assert_eq!(acknowledged, None, "a frame was acknowledged and is lost");
        self.destination.lost.extend(lost);
    }

    /// Ends in order and starts again: what was read is delivered or on disk.
    fn shut_down(&mut self) {
        self.store.stop_delivering();
        let stopped = self.rounds(|pipeline| pipeline.is_idle_below_the_store());
        assert!(stopped, "what is in flight does not come back");
        self.upstream.reset(&mut self.destination.lost);
        self.rounds(|pipeline| pipeline.edges[0].is_empty());
        self.store.persist_rest();
        assert!(
            self.rounds(|pipeline| pipeline.store.finished),
            "the store does not end"
        );
        let lost = self.destination.lost.len();
        self.crash();
        assert_eq!(self.destination.lost.len(), lost, "an end in order loses nothing");
    }

    fn is_idle_below_the_store(&mut self) -> bool {
        let [_, middle, below] = &self.edges;
        middle.is_empty() && below.is_empty() && self.processor.is_empty() && self.sender.is_empty()
    }

    fn deliver_the_rest(&mut self) {
        let all = self.rounds(|pipeline| {
            let read = pipeline.upstream.is_read() && pipeline.edges[0].is_empty();
            read && pipeline.store.is_empty()
        });
        let missing = |number: &u64| !self.destination.lost.contains(number) && !self.destination.has(*number);
        let missing: Vec<u64> = (0..self.upstream.next).filter(missing).collect();
        assert!(all && missing.is_empty(), "it hangs; not delivered: {missing:?}");
    }

    /// Everybody gets a turn, without faults, until it is `done`. False: it takes forever.
    fn rounds(&mut self, done: impl Fn(&mut Self) -> bool) -> bool {
        for _ in 0..PATIENCE_ROUNDS {
            if done(self) {
                return true;
            }
            for what in 3..20 {
                self.step(what);
            }
            self.check();
        }
        false
    }

    fn check(&mut self) {
        self.upstream.hear();
        self.store.check(self.windows[0]);
    }
}
