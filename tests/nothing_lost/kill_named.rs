//! Kill -9 again and again of the real program with named clients: a quick one, a slow one, and one that is away in most runs.
//!
//! What must hold for each over all restarts: everything that was acknowledged upstream comes, in order; what comes to one comes to all; a run goes on no further
//! back than where the run before began, so that what comes again is bounded by what came since; and after an orderly end it goes on exactly where it stopped,
//! which may be in the middle of what comes again.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::harness::{Destination, Feeder, Folder, Messages, Program};
use crate::kill::watch;
use crate::run::Case;

const MESSAGES: Messages = Messages { least: 13, most: 1_000 };
/// Runs that use one store, one after another.
const RUNS: u64 = 10;
/// Frames a run gets at most.
const FRAMES: u64 = 1_500;
const NAMES: [&str; 3] = ["quick", "slow", "away"];
/// The receive buffer of a client, small, so that a slow one is stuck.
const BUFFER: usize = 16 * 1024;

pub(crate) fn play(case: &mut Case) -> Result<(), String> {
    let mut story = Story {
        random: case.random(),
        folder: Folder::new(),
        next: 1,
        acknowledged: BTreeSet::new(),
        came: BTreeSet::new(),
        lost: BTreeSet::new(),
        clients: NAMES.map(Client::new),
    };
    for _ in 0..RUNS {
        let what = if story.run()? { "orderly ends" } else { "kills" };
        case.count(what, 1);
    }
    story.end()?;
    case.count("frames for each of three clients", story.came.len() as u64);
    case.count("lost that nobody acknowledged", story.lost.len() as u64);
    case.count("came again", story.clients.iter().map(|client| client.repeats).sum());
    Ok(())
}

struct Story {
    random: fastrand::Rng,
    folder: Folder,
    /// The next frame that will be sent.
    next: u64,
    acknowledged: BTreeSet<u64>,
    /// To any client.
    came: BTreeSet<u64>,
    /// What a client did not get, and nobody may get any more.
    lost: BTreeSet<u64>,
    clients: [Client; 3],
}

struct Client {
    name: &'static str,
    /// The furthest that came, the last that came, and the one with which its last run began.
    furthest: u64,
    last: u64,
    began_with: u64,
    /// The last run in which it took anything ended in order.
    whole: bool,
    repeats: u64,
}

impl Story {
    fn start(&self) -> Program {
        self.folder.run_pipeline(&format!(
            r#"
            name = "p"
            # The end waits for the slow one, however slow the machine is: what a client takes later than `linger` comes again.
            shutdown.deadline = "1m"
            flow = ["source -> drain -> network"]
            sources.source = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
            [spills.drain]
            directory = "data"
            persist = "always"
            retain_bytes = "1 GiB"
            commit_delay = "5ms"
            segment_bytes = "1 MiB"
            [sinks.network]
            type = "tcp_server"
            listen = "127.0.0.1:0"
            clients = "named"
            send_buffer_bytes = {BUFFER}
            linger = "1m"
            tokens = {{ quick = "token-of-quick", slow = "token-of-slow", away = "token-of-away" }}
            "#
        ))
    }

    /// One run: load on both sides, and an end at a random moment. True for one in order.
    fn run(&mut self) -> Result<bool, String> {
        let mut program = self.start();
        let (source, network) = (program.address_of("source"), program.address_of("network"));
        let frames = self.next..self.next + self.random.u64(1..FRAMES);
        let life = Duration::from_millis(self.random.u64(1..400));
        let in_order = self.random.u8(0..6) == 0;
        // All are there before the program can be gone.
        let mut feeder = Feeder::connect(source, MESSAGES);
        let here = NAMES.map(|name| (name != "away" || self.random.u8(0..3) == 0).then(|| connect(network, name)));
        let sent = AtomicU64::new(frames.start);
        let (status, came) = std::thread::scope(|scope| {
            let (sent, feeder, frames) = (&sent, &mut feeder, frames.clone());
            scope.spawn(move || {
                for number in frames {
                    // Noted before, because a part of what fails may have arrived.
                    sent.store(number + 1, Ordering::Relaxed);
                    if feeder.try_send(number..=number).is_err() {
                        return;
                    }
                }
            });
            let mut slow = [false, true, false].into_iter();
            let taking = here.map(|client| {
                let slow = slow.next().unwrap_or_default();
                scope.spawn(move || client.map(|client| take(client, slow)).unwrap_or_default())
            });
            let status = watch(&program, life);
            if in_order {
                program.terminate();
                assert_eq!(program.exit_code(), 0, "an orderly end");
            } else {
                program.kill();
            }
            (status, taking.map(|taking| taking.join().expect("what comes is whole")))
        });
        self.next = sent.load(Ordering::Relaxed);
        self.acknowledged
            .extend(frames.start..frames.start + status.number("source", "settled"));
        self.see(&came, in_order)?;
        Ok(in_order)
    }

    /// What the clients were given in one run.
    fn see(&mut self, came: &[Vec<u64>; 3], in_order: bool) -> Result<(), String> {
        self.came.extend(came.iter().flatten());
        for (client, numbers) in self.clients.iter_mut().zip(came) {
            for skipped in client.see(numbers)? {
                if self.acknowledged.contains(&skipped) || self.came.contains(&skipped) {
                    return Err(format!("{skipped} did not come to {}", client.name));
                }
                self.lost.insert(skipped);
            }
            // An end settles what was taken before it; who took nothing stands where it stood.
            client.whole |= in_order && !numbers.is_empty();
        }
        match self.lost.intersection(&self.came).next() {
            Some(number) => Err(format!("{number} did not come to one client, and came to another")),
            None => Ok(()),
        }
    }

    /// The last run: each gets everything that is there.
    fn end(&mut self) -> Result<(), String> {
        let mut program = self.start();
        let last = self.next;
        Feeder::connect(program.address_of("source"), MESSAGES).send(last..=last);
        self.next += 1;
        let mut connections = NAMES.map(|name| connect(program.address_of("network"), name));
        let came = connections.each_mut().map(|connection| {
            let mut numbers = Vec::new();
            while numbers.last() != Some(&last) {
                numbers.push(connection.next().expect("more frames are there"));
            }
            numbers
        });
        self.see(&came, false)?;
        if let Some(number) = self.acknowledged.difference(&self.came).next() {
            return Err(format!("{number} was acknowledged and is lost"));
        }
        // As clients do, they take leave when the program does: one that only stays is waited for until `linger` ends.
        program.terminate();
        for mut connection in connections {
            assert_eq!(connection.next(), None, "nothing comes behind the last");
        }
        assert_eq!(program.exit_code(), 0, "an orderly end");
        Ok(())
    }
}

impl Client {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            furthest: 0,
            last: 0,
            began_with: 1,
            whole: false,
            repeats: 0,
        }
    }

    /// Returns what was skipped.
    fn see(&mut self, numbers: &[u64]) -> Result<Vec<u64>, String> {
        let Some(first) = numbers.first() else {
            return Ok(Vec::new());
        };
        let earliest = if self.whole { self.last + 1 } else { self.began_with };
        if *first < earliest {
            return Err(format!(
                "a run began with {first} for {}, no earlier than {earliest} was due",
                self.name
            ));
        }
        (self.began_with, self.whole) = (*first, false);
        self.last = self.last.min(first - 1);
        let mut skipped = Vec::new();
        for number in numbers {
            if *number <= self.last {
                return Err(format!(
                    "{number} came behind {} to {}, within one run",
                    self.last, self.name
                ));
            }
            // What was skipped before was looked at before.
            skipped.extend((self.last + 1).max(self.furthest + 1)..*number);
            self.repeats += u64::from(*number <= self.furthest);
            (self.last, self.furthest) = (*number, self.furthest.max(*number));
        }
        Ok(skipped)
    }
}

fn connect(network: std::net::SocketAddr, name: &str) -> Destination {
    Destination::connect_small(network, MESSAGES, BUFFER).saying(&format!("token-of-{name}\n"))
}

/// Takes frames until the program is gone, and what the kernel had taken; a slow one a frame a millisecond.
fn take(mut client: Destination, slow: bool) -> Vec<u64> {
    let mut numbers = Vec::new();
    while let Some(number) = client.next() {
        numbers.push(number);
        if slow {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    numbers
}
