//! The processor actor between an actor that feeds it and one per output that takes what leaves.

mod hold;
mod portions;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::*;
use crate::batch::Frame;
use crate::demand::Grant;
use crate::error::{Error, Result};
use crate::plugin::{Output, Processor as Plugin, Registry};
use crate::receipt::{Fate, Ledger, Settled};
use crate::testing::lines;

/// Long enough for any machine; only a test that hangs meets it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Frames are `WORD` or `WORD ARGUMENT`; `slow` takes milliseconds, and whatever tells it from others.
struct Worker;

impl Plugin for Worker {
    type Config = serde_json::Value;
    const NAME: &'static str = "worker";
    const OUTPUTS: &'static [&'static str] = &["side"];

    fn new(_: Self::Config, _: &PluginContext) -> Result<Self> {
        Ok(Self)
    }

    fn frame(&mut self, frame: Frame<'_>, out: &mut Output) -> Result<()> {
        let text = String::from_utf8_lossy(frame.bytes());
        match text.split_once(' ').unwrap_or((&text, "")) {
            ("slow", argument) => {
                let time = argument.split(' ').next().unwrap().parse().unwrap();
                std::thread::sleep(Duration::from_millis(time));
                out.keep(frame);
            }
            ("side", _) => out.send("side", frame),
            ("reject", _) => return Err(Error::rejected("refused")),
            ("panic", _) => panic!("told to"),
            ("fatal", _) => return Err(Error::fatal("told to stop")),
            _ => out.keep(frame),
        }
        Ok(())
    }

    fn tick_every(&self) -> Option<Duration> {
        Some(Duration::from_millis(1))
    }
}

/// Takes what leaves by one output, and delivers it.
struct Taker {
    name: &'static str,
    seen: UnboundedSender<(&'static str, String)>,
}

impl Actor for Taker {
    type Context = Context<Self>;
}

impl Handler<Arrival> for Taker {
    type Result = ();

    fn handle(&mut self, arrival: Arrival, _: &mut Self::Context) {
        match arrival {
            Arrival::Joined(edge, grants_to) => grants_to.do_send(Granted(
                edge,
                Grant {
                    epoch: 1,
                    total: u64::MAX,
                },
            )),
            Arrival::Batch(_, batch) => {
                for frame in batch.frames() {
                    let text = String::from_utf8_lossy(frame.bytes()).into_owned();
                    self.seen.send((self.name, text)).unwrap();
                }
                batch.receipt.settle(Fate::Delivered);
            }
            Arrival::Finished(_) => {}
        }
    }
}

struct Ends(UnboundedSender<Outcome>);

impl Actor for Ends {
    type Context = Context<Self>;
}

impl Handler<Ended> for Ends {
    type Result = ();

    fn handle(&mut self, ended: Ended, _: &mut Self::Context) {
        self.0.send(ended.outcome).unwrap();
    }
}

struct Nobody;

impl Actor for Nobody {
    type Context = Context<Self>;
}

impl Handler<Granted> for Nobody {
    type Result = ();

    fn handle(&mut self, _: Granted, _: &mut Self::Context) {}
}

/// What a processor made of the batches it was given until it ended.
struct Story {
    seen: Vec<(&'static str, String)>,
    outcome: Outcome,
    fates: Vec<(u64, Fate)>,
    context: PluginContext,
}

impl Story {
    fn of(&self, output: &str) -> Vec<&str> {
        let seen = self.seen.iter().filter(|(name, _)| *name == output);
        seen.map(|(_, text)| text.as_str()).collect()
    }

    fn fates(&self) -> Vec<Fate> {
        let mut fates = self.fates.clone();
        fates.sort_unstable_by_key(|(token, _)| *token);
        let tokens: Vec<_> = fates.iter().map(|(token, _)| *token).collect();
        assert_eq!(
            tokens,
            (0..fates.len() as u64).collect::<Vec<_>>(),
            "each batch settles exactly once"
        );
        fates.into_iter().map(|(_, fate)| fate).collect()
    }

    fn count(&self, meter: &str) -> u64 {
        self.context.meters.snapshot().numbers[meter]
    }
}

fn play(workers: usize, placement: Placement, connected: &[&'static str], batches: &[&[&str]]) -> Story {
    let plugin = (Registry::default().processor::<Worker>()).processor_blueprint("worker", &serde_json::Value::Null);
    play_plugin(plugin.unwrap(), workers, placement, connected, batches)
}

fn play_plugin(
    plugin: Blueprint<dyn DynProcessor>,
    workers: usize,
    placement: Placement,
    connected: &[&'static str],
    batches: &[&[&str]],
) -> Story {
    let told = async {
        let (ends, mut ended) = unbounded_channel();
        let (processor, context, mut seen) = start(plugin, workers, placement, connected, Ends(ends));
        let fates = feed(&processor, batches);
        processor.do_send(Arrival::Finished(0));
        let outcome = ended.recv().await.unwrap();
        let seen = drain(&mut seen, batches, &fates).await;
        let fates = fates.lock().unwrap();
        Story {
            seen,
            outcome,
            fates: fates.iter().map(|settled| (settled.token, settled.fate)).collect(),
            context,
        }
    };
    System::new()
        .block_on(async { tokio::time::timeout(PATIENCE, told).await })
        .expect("the processor comes to an end")
}

/// The first frame that leaves while more may come.
fn wait_with_open_input(plugin: Blueprint<dyn DynProcessor>, placement: Placement) -> Vec<String> {
    let told = async {
        let (ends, _ended) = unbounded_channel();
        let (processor, _, mut seen) = start(plugin, 1, placement, &[""], Ends(ends));
        let _fates = feed(&processor, &[&["a"]]);
        vec![seen.recv().await.unwrap().1]
    };
    System::new()
        .block_on(async { tokio::time::timeout(PATIENCE, told).await })
        .expect("something leaves")
}

type Left = UnboundedReceiver<(&'static str, String)>;

fn start(
    plugin: Blueprint<dyn DynProcessor>,
    workers: usize,
    placement: Placement,
    connected: &[&'static str],
    ends: Ends,
) -> (Recipient<Arrival>, PluginContext, Left) {
    let (seen, seen_by) = unbounded_channel();
    let context = PluginContext::new("test", "process", "");
    let outputs = connected.iter().zip(1..).map(|(name, id)| {
        let taker = Taker {
            name,
            seen: seen.clone(),
        };
        let edge = Edge {
            id,
            to: taker.start().recipient(),
            meters: Default::default(),
        };
        ((*name).to_owned(), vec![edge])
    });
    let processor = Processor::new(ProcessorParts {
        context: context.clone(),
        plugin,
        window_bytes: 1 << 20,
        workers,
        placement,
        upstream: vec![0],
        outputs: outputs.collect(),
        tracer: Tracer::off(),
        supervisor: ends.start().recipient(),
    });
    (processor.start().recipient(), context, seen_by)
}

fn feed(processor: &Recipient<Arrival>, batches: &[&[&str]]) -> Arc<Mutex<Vec<Settled>>> {
    let fates = Arc::new(Mutex::new(Vec::new()));
    let told = fates.clone();
    let ledger = Ledger::counting(move |settled| told.lock().unwrap().push(settled));
    processor.do_send(Arrival::Joined(0, Nobody.start().recipient()));
    for (frames, token) in batches.iter().zip(0..) {
        processor.do_send(Arrival::Batch(0, lines(*frames, token * 100, ledger.issue(token, 1))));
    }
    fates
}

/// Waits until every batch is settled: the takers have then seen all that comes.
async fn drain(
    seen: &mut UnboundedReceiver<(&'static str, String)>,
    batches: &[&[&str]],
    fates: &Mutex<Vec<Settled>>,
) -> Vec<(&'static str, String)> {
    while fates.lock().unwrap().len() < batches.len() {
        tokio::task::yield_now().await;
    }
    let mut all = Vec::new();
    while let Ok(one) = seen.try_recv() {
        all.push(one);
    }
    all
}

#[test]
fn three_workers_of_uneven_speed_keep_the_order_of_the_input() {
    let times = [25, 1, 8, 0, 3].iter().cycle().take(30);
    let frames: Vec<String> = times.enumerate().map(|(n, time)| format!("slow {time} {n}")).collect();
    let frames: Vec<[&str; 1]> = frames.iter().map(|frame| [frame.as_str()]).collect();
    let batches: Vec<&[&str]> = frames.iter().map(<[&str; 1]>::as_slice).collect();
    let story = play(3, Placement::Own, &[""], &batches);
    assert_eq!(story.outcome, Outcome::Finished);
    assert_eq!(story.of(""), batches.concat());
    assert_eq!(story.fates(), vec![Fate::Delivered; 30]);
}

#[test]
fn outputs_get_what_is_theirs_on_the_data_thread_and_on_workers() {
    for (workers, placement) in [(1, Placement::Data), (1, Placement::Own), (2, Placement::Own)] {
        let batches: [&[&str]; 2] = [&["a", "side x", "reject x", "b"], &["panic x", "c"]];
        let story = play(workers, placement, &["", "side", "rejected"], &batches);
        assert_eq!(story.outcome, Outcome::Finished);
        assert_eq!(story.of(""), ["a", "b", "c"]);
        assert_eq!(story.of("side"), ["side x"]);
        assert_eq!(story.of("rejected"), ["reject x", "panic x"]);
        assert_eq!(story.fates(), [Fate::Delivered; 2]);
        assert_eq!((story.count("rejected"), story.count("filtered")), (2, 0));
    }
}

#[test]
fn without_their_edges_rejected_frames_are_counted_and_side_frames_are_filtered_out() {
    let story = play(
        1,
        Placement::Data,
        &[""],
        &[&["a", "side x", "reject x"], &["side x"], &["b"]],
    );
    assert_eq!(story.of(""), ["a", "b"]);
    assert_eq!(story.fates(), [Fate::Rejected, Fate::Delivered, Fate::Delivered]);
    assert_eq!((story.count("rejected"), story.count("filtered")), (1, 2));
    assert_eq!((story.count("frames_in"), story.count("frames_out")), (5, 2));
}

#[test]
fn a_fatal_error_fails_the_actor_and_drops_what_it_holds() {
    for (workers, placement) in [(1, Placement::Data), (2, Placement::Own)] {
        let story = play(workers, placement, &[""], &[&["a", "fatal x"], &["b"], &["c"]]);
        assert_eq!(story.outcome, Outcome::Failed("told to stop".into()));
        assert_eq!(story.fates(), [Fate::Dropped; 3]);
    }
}
