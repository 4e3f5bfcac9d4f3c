//! Two programs with a `link` between their stores, over connections that break off on their way in either direction, and with kills on both sides: what is in
//! the store at the sender comes into the one at the receiver once, and in order.
//!
//! Whoever takes from the receiver comes when all is there, and is waited for, so that it sees what the store holds and nothing else.

use std::time::Duration;

use super::plan::{Break, Plan};
use super::proxy::{Leg, Opens, Proxy};
use crate::harness::{Destination, Feeder, Folder, Messages, Program, Sequence};
use crate::kill::watch;
use crate::run::Case;

const MESSAGES: Messages = Messages { least: 13, most: 2_000 };
/// Pieces in which the frames are fed; behind each something may happen to the programs.
const PIECES: u64 = 5;
/// Frames of a piece, at most.
const FRAMES: u64 = 800;

pub(crate) fn play(case: &mut Case) -> Result<(), String> {
    let mut trial = Trial::start(case.random());
    for _ in 0..PIECES {
        trial.feed();
        trial.happen();
    }
    trial.feed();
    trial.take();
    case.count("frames exactly once", trial.last);
    case.count("connections broken", trial.breaks - trial.proxy.breaks_left() as u64);
    case.count("kills", trial.kills);
    case.count("orderly ends", trial.ends);
    case.count("frames cut off that came again", trial.repeated);
    trial.end();
    Ok(())
}

struct Trial {
    random: fastrand::Rng,
    near: Folder,
    far: Folder,
    sender: Option<Program>,
    receiver: Option<Program>,
    proxy: Proxy,
    breaks: u64,
    /// The last frame that the sender's store has, and the last that was taken from the receiver's.
    last: u64,
    taken: u64,
    /// Frames fed since the sender was started.
    fed: u64,
    kills: u64,
    ends: u64,
    repeated: u64,
}

/// To whom something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whom {
    Sender,
    Receiver,
    Both,
}

impl Trial {
    fn start(mut random: fastrand::Rng) -> Self {
        let (near, far) = (Folder::new(), Folder::new());
        let (mut data, answers) = (plan(&mut random, 2_000_000), plan(&mut random, 2_000));
        // Slow enough to be under way at a kill, over several commits.
        data.bytes_per_second = random.bool().then(|| random.u64(500_000..2_000_000));
        let breaks = data.breaks.len() + answers.breaks.len();
        let receiver = receive(&far);
        let proxy = Proxy::start_both(Leg::Sink, Opens::Program, receiver.address_of("here"), data, answers);
        Self {
            sender: Some(send(&near, &proxy)),
            receiver: Some(receiver),
            near,
            far,
            proxy,
            breaks: breaks as u64,
            last: 0,
            taken: 0,
            fed: 0,
            kills: 0,
            ends: 0,
            repeated: 0,
            random,
        }
    }

    fn sender(&self) -> &Program {
        self.sender.as_ref().expect("it is there but for a moment")
    }

    fn receiver(&self) -> &Program {
        self.receiver.as_ref().expect("it is there but for a moment")
    }

    /// Gives frames to the sender, until its store has them: what it had not is lost with it.
    fn feed(&mut self) {
        let frames = self.random.u64(1..FRAMES);
        let sender = self.sender();
        Feeder::connect(sender.address_of("source"), MESSAGES).send(self.last + 1..=self.last + frames);
        let fed = self.fed + frames;
        sender.wait_for("all is durable at the sender", |status| {
            status.number("source", "settled") == fed
        });
        (self.fed, self.last) = (fed, self.last + frames);
    }

    fn happen(&mut self) {
        let whom = [Whom::Sender, Whom::Receiver, Whom::Both][self.random.usize(0..3)];
        match self.random.u8(0..6) {
            0 => {}
            1 => self.take(),
            2 => self.again(whom, true),
            _ => {
                let life = Duration::from_millis(self.random.u64(0..80));
                watch(self.receiver(), life);
                self.again(whom, false);
            }
        }
    }

    /// Ends them, in order or with a kill, and starts them again.
    fn again(&mut self, whom: Whom, in_order: bool) {
        if whom != Whom::Receiver
            && let Some(sender) = self.sender.take()
        {
            self.finish(sender, in_order);
            self.fed = 0;
        }
        if whom != Whom::Sender
            && let Some(receiver) = self.receiver.take()
        {
            self.repeated += receiver.status_of("p").number("here", "frames_repeated");
            // Its port may be somebody else's soon.
            self.proxy.aim(None);
            self.finish(receiver, in_order);
            let receiver = receive(&self.far);
            self.proxy.aim(Some(receiver.address_of("here")));
            self.receiver = Some(receiver);
        }
        if self.sender.is_none() {
            self.sender = Some(send(&self.near, &self.proxy));
        }
    }

    fn finish(&mut self, program: Program, in_order: bool) {
        if in_order {
            self.ends += 1;
            program.stop();
        } else {
            self.kills += 1;
            program.kill();
        }
    }

    /// Everything comes through, and is taken; then the receiver's store is empty, and what it knows of the stream is all that is left.
    fn take(&mut self) {
        self.sender().wait_for("all is acknowledged", |status| {
            status.number("out", "waiting_frames") == 0
        });
        if self.last > self.taken {
            let receiver = self.receiver();
            let mut seen = Sequence::default();
            Destination::connect(receiver.address_of("network"), MESSAGES).take_through(self.last, &mut seen);
            let status = receiver.wait_for("nothing more is there", |status| {
                status.number("in", "waiting_frames") == 0
            });
            seen.assert_is(self.taken + 1, self.last);
            assert_eq!(status.number("here", "frames_missing") + status.number("in", "lost"), 0);
            self.taken = self.last;
        }
        // A kill could forget that it was taken.
        self.again(Whom::Receiver, true);
    }

    fn end(self) {
        for program in [self.sender, self.receiver].into_iter().flatten() {
            program.stop();
        }
    }
}

/// What happens to one direction of the connections, of which so many bytes are expected.
fn plan(random: &mut fastrand::Rng, bytes: u64) -> Plan {
    let mut plan = Plan {
        slice_bytes: random.bool().then(|| random.usize(1..20_000)),
        ..Plan::default()
    };
    if random.u8(0..4) == 0 {
        let pause = Duration::from_millis(random.u64(50..400));
        plan.stall = Some((random.u64(0..bytes), pause));
    }
    let breaks = (0..random.usize(0..8)).map(|_| match random.u64(0..bytes / 4) {
        at if random.u8(0..3) > 0 => Break::ResetAt(at),
        at => Break::HalfCloseAt(at),
    });
    plan.breaks = breaks.collect();
    plan
}

fn send(folder: &Folder, proxy: &Proxy) -> Program {
    folder.run_pipeline(&format!(
        r#"
        name = "p"
        flow = ["source -> out -> there"]
        sources.source = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        spills.out = {{ directory = "out", persist = "always", segment_bytes = "1 MiB" }}
        sinks.there = {{ type = "link", address = "{}", window_bytes = "64 KiB", retry = {{ first = "1ms", max = "20ms" }} }}
        "#,
        proxy.address
    ))
}

/// Commits take their time, so that something is there that is not durable.
fn receive(folder: &Folder) -> Program {
    folder.run_pipeline(
        r#"
        name = "p"
        flow = ["here -> in -> network"]
        sources.here = { type = "link", listen = "127.0.0.1:0" }
        spills.in = { directory = "in", persist = "always", segment_bytes = "1 MiB", commit_delay = "100ms" }
        sinks.network = { type = "tcp_server", listen = "127.0.0.1:0", acknowledge = "written" }
        "#,
    )
}
