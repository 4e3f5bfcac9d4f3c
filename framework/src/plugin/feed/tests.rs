//! Batches made elsewhere, on their way through a source.

use super::*;
use crate::plugin::{Context, Source};
use crate::telemetry::now_ns;
use crate::testing::{self, SourceRun};

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The first number of each batch.
    firsts: Vec<u64>,
}

/// Forwards batches of two frames that the actor `plant` read, and counts what became of them. One of no frames comes first.
struct Relay {
    config: Config,
    context: Context,
}

impl Relay {
    fn batch(&self, first: u64, frames: &[&str]) -> Batch {
        let count = |name| self.context.counter(name);
        let (delivered, dropped) = (count("delivered"), count("dropped"));
        let ledger = Ledger::counting(move |settled| match settled.fate {
            Fate::Delivered => delivered.add(1),
            _ => dropped.add(1),
        });
        let mut builder = BatchBuilder::new(&Numbers::new("plant".into(), 7, first, 0));
        for (frame, number) in frames.iter().zip(first..) {
            builder.push_span(frame.as_bytes(), number);
            builder.attribute("id", frame);
        }
        builder.finish(now_ns(), None, ledger.issue(first, 1))
    }
}

impl Source for Relay {
    type Config = Config;
    const NAME: &'static str = "relay";

    fn new(config: Config, context: &Context) -> Result<Self> {
        Ok(Self {
            config,
            context: context.clone(),
        })
    }

    async fn run(&mut self, feed: &Feed) -> Result<()> {
        feed.forward(self.batch(0, &[])).await;
        for first in &self.config.firsts {
            tokio::select! {
                () = feed.stopping() => break,
                () = feed.forward(self.batch(*first, &["one", "two"])) => {}
            }
        }
        Ok(())
    }
}

fn fates(run: &SourceRun) -> (u64, u64) {
    (run.count("delivered"), run.count("dropped"))
}

#[test]
fn a_batch_made_elsewhere_leaves_as_it_came_and_its_maker_hears_its_fate() {
    let run = testing::source::<Relay>("firsts = [40, 90, 10]").run();
    assert_eq!(run.frames(), ["one", "two", "one", "two", "one", "two"]);
    assert_eq!(run.numbers(), [40, 41, 90, 91, 10, 11]);
    assert_eq!(run.sources(), ["plant"; 6]);
    assert_eq!(run.attributes(3)["id"], "two");
    assert_eq!(fates(&run), (4, 0), "three batches, and the one of no frames");
    assert_eq!(run.count("settled"), 6, "the source's own count of frames");
}

#[test]
fn what_waits_for_demand_is_dropped_with_the_call() {
    let running = testing::source::<Relay>("firsts = [40, 90]").start();
    running.grant(1);
    assert_eq!(running.wait_frames(2), ["one", "two"]);
    running.wait_starved();
    let run = running.stop();
    assert_eq!((run.frames().len(), fates(&run)), (2, (2, 1)));
}
