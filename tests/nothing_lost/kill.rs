//! Kill -9 under load, again and again: the real program with a store, a sender and a destination over TCP, and a mark outside of the
//! program up to which it has acknowledged.
//!
//! A TCP source acknowledges to nobody outside: what stands for it is the receipt, which the source counts as `settled` in `status`.
//! With one connection, receipts come in the order of the frames, so this number is a high-water mark.
//!
//! What must hold over all restarts: nothing below a mark is missing, whole frames only, order; a run begins to deliver no earlier than
//! the run before it began, so that what comes again is bounded by what came since. With `persist = "overflow"` the mark means "delivered or on
//! disk". What was read and is not below the mark, and so may be lost, is at most `memory_bytes`, `window_bytes` and one read, and twice
//! `commit_bytes`. A seed decides what happens; the moment of a kill it decides only up to the scheduling of processes.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{Destination, Feeder, Folder, Messages, PATIENCE, Program, Status};
use crate::run::Case;

const MESSAGES: Messages = Messages { least: 13, most: 3_000 };
/// Runs that use one store, one after another.
const KILLS: u64 = 15;
/// Frames a run gets at most, so that the store's backlog stays small enough to be delivered at the end.
const FRAMES: u64 = 1_500;
const MEMORY: u64 = 256 * 1024;
const WINDOW: u64 = 128 * 1024;
const COMMIT: u64 = 64 * 1024;
/// A connection's reads make batches; the last one may pass the window.
const READ: u64 = 256_000;

pub(crate) fn play(case: &mut Case) -> Result<(), String> {
    let mut story = Story::new(case.random());
    for _ in 0..KILLS {
        story.run_and_kill();
        case.count("kills", 1);
    }
    story.end();
    case.count("frames", story.next - 1);
    case.count("lost that nobody acknowledged", story.lost.len() as u64);
    case.count("came again", story.repeats);
    Ok(())
}

struct Story {
    random: fastrand::Rng,
    folder: Folder,
    always: bool,
    /// The next frame that will be sent.
    next: u64,
    acknowledged: BTreeSet<u64>,
    came: BTreeSet<u64>,
    /// Sent, and neither acknowledged nor delivered when everything else has come.
    lost: BTreeSet<u64>,
    /// The frame that came last, and the one with which the last run began that delivered anything.
    last: u64,
    began_with: u64,
    repeats: u64,
}

/// What the destination does while the program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    Everything,
    /// A frame a millisecond.
    Slowly,
}

impl Story {
    fn new(mut random: fastrand::Rng) -> Self {
        Self {
            always: random.u8(0..3) > 0,
            random,
            folder: Folder::new(),
            next: 1,
            acknowledged: BTreeSet::new(),
            came: BTreeSet::new(),
            lost: BTreeSet::new(),
            last: 0,
            began_with: 0,
            repeats: 0,
        }
    }

    fn start(&self) -> Program {
        let persist = if self.always { "always" } else { "overflow" };
        self.folder.run_pipeline(&format!(
            r#"
            name = "p"
            flow = ["source -> drain -> network"]
            sources.source = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
            sinks.network = {{ type = "tcp_server", listen = "127.0.0.1:0", window_bytes = "64 KiB" }}
            [spills.drain]
            directory = "data"
            persist = "{persist}"
            window_bytes = {WINDOW}
            memory_bytes = {MEMORY}
            memory_age = "100ms"
            commit_bytes = {COMMIT}
            segment_bytes = "1 MiB"
            in_flight_bytes = "64 KiB"
            read_ahead_bytes = "64 KiB"
            "#
        ))
    }

    /// One run: load on both sides, and a kill at a random moment.
    fn run_and_kill(&mut self) {
        let program = self.start();
        if self.random.u8(0..10) == 0 {
            // In the middle of its start, or of its recovery.
            std::thread::sleep(Duration::from_millis(self.random.u64(0..60)));
            return program.kill();
        }
        let (source, network) = (program.address_of("source"), program.address_of("network"));
        let takes = [Takes::Nothing, Takes::Everything, Takes::Slowly][self.random.usize(0..3)];
        let frames = self.next..self.next + self.random.u64(1..FRAMES);
        let life = Duration::from_millis(self.random.u64(1..350));
        // Both are there before the program can be gone.
        let mut feeder = Feeder::connect(source, MESSAGES);
        let destination = (takes != Takes::Nothing).then(|| Destination::connect_small(network, MESSAGES, 16 * 1024));
        let (sent, over) = (AtomicU64::new(frames.start), AtomicBool::new(false));
        let (status, numbers) = std::thread::scope(|scope| {
            let feeder = &mut feeder;
            // The connection stays when all is sent: its end is the program's.
            let (sent, over, frames) = (&sent, &over, frames.clone());
            scope.spawn(move || {
                for number in frames {
                    // Noted before, because a part of what fails may have arrived.
                    sent.store(number + 1, Ordering::Relaxed);
                    if feeder.try_send(number..=number).is_err() {
                        return;
                    }
                }
            });
            let taking = scope.spawn(|| take(destination, takes, over));
            let status = watch(&program, life);
            program.kill();
            over.store(true, Ordering::Relaxed);
            (status, taking.join().expect("what comes is whole"))
        });
        let marked = frames.start..frames.start + status.number("source", "settled");
        let read = frames.start..frames.start + status.number("source", "frames_in");
        self.next = sent.load(Ordering::Relaxed);
        self.acknowledged.extend(marked);
        self.see(&numbers);
        self.check_bound(read);
    }

    /// What a destination was given in one run.
    fn see(&mut self, numbers: &[u64]) {
        let Some(first) = numbers.first() else { return };
        assert!(
            *first >= self.began_with,
            "a run began with {first}, the one before with {}",
            self.began_with
        );
        self.began_with = *first;
        // A start goes back behind the cursor; from there on every number follows, but for those that a kill took.
        self.last = self.last.min(first - 1);
        for number in numbers {
            assert!(
                *number > self.last,
                "{number} came behind {}, within one run",
                self.last
            );
            for skipped in self.last + 1..*number {
                let known = !self.acknowledged.contains(&skipped) || self.came.contains(&skipped);
                assert!(known, "{number} came before {skipped}, which was acknowledged");
                self.lost.extend((!self.came.contains(&skipped)).then_some(skipped));
            }
            assert!(!self.lost.contains(number), "{number} came behind {}", self.last);
            self.repeats += u64::from(!self.came.insert(*number));
            self.last = *number;
        }
    }

    /// Of what the program had read when it was last asked, only so much may be lost.
    fn check_bound(&self, read: std::ops::Range<u64>) {
        let at_risk = read.filter(|number| !self.acknowledged.contains(number) && !self.came.contains(number));
        let bytes: u64 = at_risk.map(|number| MESSAGES.size(number) as u64).sum();
        let bound = MEMORY + WINDOW + READ + 2 * COMMIT;
        assert!(
            bytes <= bound,
            "{bytes} bytes were read and not safe; at most {bound} may be"
        );
    }

    /// The last run: everything that is there is delivered.
    fn end(&mut self) {
        let program = self.start();
        let last = self.next;
        Feeder::connect(program.address_of("source"), MESSAGES).send(last..=last);
        self.next += 1;
        let mut destination = Destination::connect(program.address_of("network"), MESSAGES);
        let mut numbers = Vec::new();
        while numbers.last() != Some(&last) {
            numbers.push(destination.next().expect("more frames are there"));
        }
        self.see(&numbers);
        let missing = self.acknowledged.difference(&self.came).next();
        assert_eq!(missing, None, "acknowledged and lost");
        program.wait_for("the store is empty", |status| {
            status.number("drain", "waiting_frames") == 0
        });
        assert_eq!(program.status_of("p").number("drain", "lost"), 0);
        program.stop();
    }
}

/// Asks for the mark until the time is over; the last answer.
pub(crate) fn watch(program: &Program, life: Duration) -> Status {
    let began = Instant::now();
    loop {
        let status = program.status_of("p");
        if began.elapsed() >= life {
            return status;
        }
    }
}

/// Takes frames until the program is gone, and what its kernel had taken.
fn take(destination: Option<Destination>, takes: Takes, over: &AtomicBool) -> Vec<u64> {
    let mut numbers = Vec::new();
    let Some(mut destination) = destination else {
        return numbers;
    };
    let deadline = Instant::now() + PATIENCE;
    while let Some(number) = destination.next() {
        numbers.push(number);
        if takes == Takes::Slowly && !over.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(Instant::now() < deadline, "frames come without end");
    }
    numbers
}
