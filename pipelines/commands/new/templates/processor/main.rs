//! The processor `my_plugin`: frames whose id was seen before leave by an output of their own.
//!
//! It works as it stands. Change it into yours: the config first, then `frame`, then the tests.

use std::collections::{HashSet, VecDeque};
use std::num::NonZeroUsize;
use std::process::ExitCode;

use aqueduct::framework::batch::Frame;
use aqueduct::framework::error::{Error, Result};
use aqueduct::framework::plugin::{Context, Output, Processor};
use aqueduct::framework::telemetry::Counter;
use schemars::JsonSchema;
use serde::Deserialize;

/// Sends frames whose id was seen before to the output `repeat`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The column of the id, from 0. Columns end at a comma.
    column: usize,
    /// How many ids to remember. The oldest is forgotten first.
    remember: NonZeroUsize,
}

/// The plugin. Its memory lives as long as the instance: a panic, a restart, and each of several
/// `workers` begin with an empty one.
struct MyPlugin {
    config: Config,
    seen: HashSet<Vec<u8>>,
    order: VecDeque<Vec<u8>>,
    repeats: Counter,
}

impl Processor for MyPlugin {
    type Config = Config;
    const NAME: &'static str = "my_plugin";
    const SAMPLE: &'static str = r#"type = "my_plugin"
column = 0
remember = 1_000
"#;
    const OUTPUTS: &'static [&'static str] = &["repeat"];

    fn new(config: Config, context: &Context) -> Result<Self> {
        Ok(Self {
            config,
            seen: HashSet::new(),
            order: VecDeque::new(),
            repeats: context.counter("repeats"),
        })
    }

    fn frame(&mut self, frame: Frame<'_>, out: &mut Output) -> Result<()> {
        let span = frame.child_span("look_up");
        let id = frame
            .field(b',', self.config.column)
            .ok_or_else(|| Error::rejected(format!("there is no column {}", self.config.column)))?;
        span.attribute("id", String::from_utf8_lossy(id));
        out.attribute("id", id);
        if self.first_time(id) {
            out.keep(frame);
        } else {
            self.repeats.add(1);
            out.send("repeat", frame);
        }
        Ok(())
    }
}

impl MyPlugin {
    fn first_time(&mut self, id: &[u8]) -> bool {
        if self.seen.contains(id) {
            return false;
        }
        if self.order.len() == self.config.remember.get()
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        self.order.push_back(id.to_vec());
        self.seen.insert(id.to_vec())
    }
}

fn main() -> ExitCode {
    aqueduct::main(|plugins| plugins.processor::<MyPlugin>())
}

#[cfg(test)]
mod tests {
    use aqueduct::framework::testing;

    use super::MyPlugin;

    #[test]
    fn repeats_leave_by_their_own_output() {
        let kit = testing::processor::<MyPlugin>("column = 0\nremember = 9");
        let run = kit.frames(["a,1", "b,1", "a,2"]);
        assert_eq!(run.output(""), ["a,1", "b,1"]);
        assert_eq!(run.output("repeat"), ["a,2"]);
        assert_eq!(run.attributes("repeat", 0)["id"], "a");
        assert_eq!(run.count("repeats"), 1);
    }

    #[test]
    fn the_oldest_id_is_forgotten_first() {
        let kit = testing::processor::<MyPlugin>("column = 0\nremember = 1");
        assert_eq!(kit.frames(["a", "b", "a"]).output(""), ["a", "b", "a"]);
    }

    #[test]
    fn a_frame_without_the_column_is_rejected() {
        let kit = testing::processor::<MyPlugin>("column = 1\nremember = 9");
        let run = kit.frames(["a"]);
        assert_eq!(run.rejected()[0].reason, "there is no column 1");
    }

    #[test]
    fn it_keeps_to_the_contract_of_processors() {
        testing::conformance::processor::<MyPlugin>().check();
    }
}
