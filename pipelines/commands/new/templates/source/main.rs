//! The source `my_plugin`: a frame with a text and a number, again and again.
//!
//! It works as it stands. Change it into yours: the config first, then `run`, then the tests.

use std::pin::pin;
use std::process::ExitCode;

use aqueduct::framework::batch::Attributes;
use aqueduct::framework::error::Result;
use aqueduct::framework::plugin::{Context, Feed, Source};
use aqueduct::framework::units::Period;
use schemars::JsonSchema;
use serde::Deserialize;

/// Makes a frame with a text and a number, again and again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// What each frame begins with.
    text: String,
    /// How many frames. The source ends behind the last.
    count: u64,
    /// The pause between two frames.
    every: Period,
}

/// The plugin.
struct MyPlugin {
    config: Config,
    made: u64,
}

impl Source for MyPlugin {
    type Config = Config;
    const NAME: &'static str = "my_plugin";
    const SAMPLE: &'static str = r#"type = "my_plugin"
text = "tick"
count = 10
every = "100ms"
"#;

    // Connections and files are opened in `run`: `aqueduct check` builds the plugin too.
    fn new(config: Config, _: &Context) -> Result<Self> {
        Ok(Self { config, made: 0 })
    }

    // `Error::unavailable` would be for a device that cannot be reached now: the framework waits,
    // longer each time, and calls `run` again.
    async fn run(&mut self, feed: &Feed) -> Result<()> {
        let mut stopping = pin!(feed.stopping());
        let mut intake = feed.frames(Attributes::default());
        while self.made < self.config.count {
            tokio::select! {
                biased;
                () = &mut stopping => return Ok(()),
                // Without demand nothing is made: who comes behind this source decides how fast it is.
                () = intake.ready() => {}
            }
            self.made += 1;
            intake.push(format!("{} {}", self.config.text, self.made).as_bytes());
            intake.flush();
            tokio::select! {
                biased;
                () = &mut stopping => return Ok(()),
                () = tokio::time::sleep(self.config.every.duration()) => {}
            }
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    aqueduct::main(|plugins| plugins.source::<MyPlugin>())
}

#[cfg(test)]
mod tests {
    use aqueduct::framework::testing;

    use super::MyPlugin;

    #[test]
    fn it_counts_and_ends() {
        let run = testing::source::<MyPlugin>("text = \"n\"\ncount = 2\nevery = \"1ms\"").run();
        assert_eq!(run.frames(), ["n 1", "n 2"]);
        assert_eq!(run.failure(), None);
    }

    #[test]
    fn it_ends_when_it_is_asked_to() {
        let kit = testing::source::<MyPlugin>("text = \"n\"\ncount = 2\nevery = \"1h\"");
        let source = kit.start();
        source.grant_all();
        source.wait_frames(1);
        assert_eq!(source.stop().frames(), ["n 1"]);
    }

    #[test]
    fn it_keeps_to_the_contract_of_sources() {
        testing::conformance::source::<MyPlugin>().check();
    }
}
