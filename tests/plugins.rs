//! Plugins of somebody else, in a program of their own: through the library, as such a program uses it.

use std::net::SocketAddr;

use aqueduct::framework::batch::Frame;
use aqueduct::framework::config::{LoadOptions, load};
use aqueduct::framework::error::Result;
use aqueduct::framework::pipeline::{Control, Pipeline, RunOptions, View};
use aqueduct::framework::plugin::{Context, Output, Processor, Registry};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::harness::{Feeder, Folder, Messages, wait_until};

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
    run(&folder, config, |view, control| {
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

/// Runs a pipeline in this process while `act` looks at it from a thread of its own; it must end without failure or force.
fn run(folder: &Folder, config: &str, act: impl FnOnce(&View, &Control) + Send + 'static) {
    let file = folder.write("p.toml", config);
    let mut registry = Registry::default();
    aqueduct::plugins::register(&mut registry);
    registry.processor::<Fragile>();
    let loaded = load(&[file], &LoadOptions::default(), &registry).expect("the config is fine");
    actix_rt::System::new().block_on(async {
        let pipeline = Pipeline::start(&loaded.pipelines[0], &registry, &RunOptions::default()).expect("it starts");
        let (view, control) = (pipeline.view(), pipeline.control());
        let acting = std::thread::spawn(move || {
            act(&view, &control);
        });
        let ending = pipeline.ended().await.expect("the supervisor lives");
        assert_eq!((ending.failure, ending.forced), (None, false));
        acting.join().expect("the test's own thread found all well");
    });
}

fn number(view: &View, actor: &str, name: &str) -> u64 {
    let found = view.actors.iter().find(|each| each.0 == actor);
    found
        .and_then(|each| each.3.snapshot().numbers.get(name).copied())
        .unwrap_or(0)
}

fn text(view: &View, actor: &str, name: &str) -> String {
    let found = view.actors.iter().find(|each| each.0 == actor);
    found
        .and_then(|each| each.3.snapshot().texts.get(name).cloned())
        .unwrap_or_default()
}
