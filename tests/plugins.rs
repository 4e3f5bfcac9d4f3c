//! Plugins of somebody else, in a program of their own: through the library, as such a program uses it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use aqueduct::framework::batch::Frame;
use aqueduct::framework::config::{LoadOptions, load};
use aqueduct::framework::error::Result;
use aqueduct::framework::pipeline::{Control, Pipeline, RunOptions, View};
use aqueduct::framework::plugin::{Context, HoldLimit, Output, Processor, Registry};
use aqueduct::framework::telemetry::Export;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::harness::{Feeder, Folder, Messages, Reborn, wait_until};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NoOptions {}

/// Counts frames, and panics at one that says so.
struct Fragile {
    seen: u64,
}

impl Processor for Fragile {
    type Config = NoOptions;
    const NAME: &'static str = "fragile";

    fn new(_: NoOptions, _: &Context) -> Result<Self> {
        Ok(Self { seen: 0 })
    }

    fn frame(&mut self, frame: Frame<'_>, out: &mut Output) -> Result<()> {
        self.seen += 1;
        assert!(
            frame.bytes() != b"boom",
            "a bug, at frame {} of this instance",
            self.seen
        );
        out.keep(frame);
        Ok(())
    }
}

#[test]
fn a_plugin_that_panics_costs_one_frame_and_the_others_arrive_in_order() {
    let folder = Folder::new();
    let config = r#"
        name = "p"
        flow = ["source -> work -> out", "work.rejected -> dead_letters"]
        sources.source = { type = "tcp_server", listen = "127.0.0.1:0" }
        processors.work = { type = "fragile" }
        sinks.out = { type = "file", path = "out.txt" }
        sinks.dead_letters = { type = "file", path = "dead.txt" }
        "#;
    let file = folder.write("p.toml", config);
    run(file, |view, control| {
        let listening = || text(view, "source", "listening").parse::<SocketAddr>().ok();
        let mut feeder = Feeder::connect(wait_until("the source listens", listening), Messages::SHORT);
        feeder.send_text("1\n2\nboom\n3\nboom\n4\n");
        wait_until("every frame has arrived somewhere", || {
            (number(view, "out", "frames_out") + number(view, "dead_letters", "frames_out") == 6).then_some(())
        });
        control.shut_down();
    });
    assert_eq!(folder.read("out.txt"), "1\n2\n3\n4\n");
    assert_eq!(folder.read("dead.txt"), "boom\nboom\n");
}

/// Joins all frames with commas, and emits them when it is told to.
#[derive(Default)]
struct Join {
    held: Vec<String>,
}

impl Processor for Join {
    type Config = NoOptions;
    const NAME: &'static str = "join";

    fn new(_: NoOptions, _: &Context) -> Result<Self> {
        Ok(Self::default())
    }

    fn frame(&mut self, frame: Frame<'_>, out: &mut Output) -> Result<()> {
        self.held.push(String::from_utf8_lossy(frame.bytes()).into_owned());
        out.hold(frame);
        Ok(())
    }

    fn holds(&self) -> Option<HoldLimit> {
        Some(HoldLimit {
            bytes: 64 * 1024 * 1024,
            time: Duration::from_secs(3600),
        })
    }

    fn tick(&mut self, out: &mut Output) -> Result<()> {
        if !self.held.is_empty() {
            out.push(std::mem::take(&mut self.held).join(",").as_bytes());
        }
        Ok(())
    }
}

const JOINING: &str = r#"
    name = "p"
    flow = "source -> drain -> work -> out"
    sources.source = { type = "tcp_server", listen = "127.0.0.1:0" }
    spills.drain = { directory = "data", persist = "always" }
    processors.work = { type = "join" }
    sinks.out = { type = "file", path = "out.txt" }
    "#;

#[test]
fn frames_held_back_by_a_plugin_survive_kill_9() {
    let folder = Folder::new();
    folder.write("p.toml", JOINING);
    let start = || Reborn::start(&folder, "plugins::the_program_of_somebody");
    let first = start();
    let address = wait_until("the source listens", || {
        first.told("address").parse::<SocketAddr>().ok()
    });
    let mut feeder = Feeder::connect(address, Messages::SHORT);
    let lines: String = (0..100).map(|number| format!("{number}\n")).collect();
    feeder.send_text(&lines);
    wait_until("every frame is held", || (first.told("held") == "100").then_some(()));
    first.kill();
    assert_eq!(folder.read("out.txt"), "", "nothing has left");

    let second = start();
    wait_until("every frame is held again", || {
        (second.told("held") == "100").then_some(())
    });
    second.stop();
    let expected: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    assert_eq!(folder.read("out.txt"), format!("{}\n", expected.join(",")));
}

/// No test by itself: what the one before starts.
#[test]
fn the_program_of_somebody() {
    Reborn::run(|folder| {
        run(folder.join("p.toml"), move |view, control| {
            Reborn::tell(&folder, || {
                vec![
                    ("address".to_owned(), text(view, "source", "listening")),
                    ("held".to_owned(), number(view, "work", "frames_in").to_string()),
                ]
            });
            control.shut_down();
        });
    });
}

/// Runs a pipeline in this process, with its spans, while `act` looks at it from a thread of its own; it must end without failure or force.
pub(crate) fn run(file: PathBuf, act: impl FnOnce(&View, &Control) + Send + 'static) {
    let mut registry = Registry::default();
    aqueduct::plugins::register(&mut registry);
    registry
        .processor::<Fragile>()
        .processor::<Join>()
        .sink::<crate::named_cursors::Scribe>();
    let loaded = load(&[file], &LoadOptions::default(), &registry).expect("the config is fine");
    let export = Export::start(&loaded.process.telemetry).expect("the collector can be spoken to");
    let options = RunOptions {
        spans: export.as_ref().map(Export::spans).unwrap_or_default(),
        ..RunOptions::default()
    };
    actix_rt::System::new().block_on(async {
        let pipeline = Pipeline::start(&loaded.pipelines[0], &registry, &options).expect("it starts");
        let (view, control) = (pipeline.view(), pipeline.control());
        let acting = std::thread::spawn(move || {
            act(&view, &control);
        });
        let ending = pipeline.ended().await.expect("the supervisor lives");
        assert_eq!((ending.failure, ending.forced), (None, false));
        acting.join().expect("the test's own thread found all well");
    });
}

pub(crate) fn number(view: &View, actor: &str, name: &str) -> u64 {
    let found = view.actors.iter().find(|each| each.0 == actor);
    found
        .and_then(|each| each.3.snapshot().numbers.get(name).copied())
        .unwrap_or(0)
}

pub(crate) fn text(view: &View, actor: &str, name: &str) -> String {
    let found = view.actors.iter().find(|each| each.0 == actor);
    found
        .and_then(|each| each.3.snapshot().texts.get(name).cloned())
        .unwrap_or_default()
}
