//! `delay`: takes its time, as a stand-in for slow work.

#[cfg(test)]
mod tests;

use std::time::Duration;

use aqueduct_framework::batch::Frame;
use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::plugin::{Context, Frames, Output, Placement, Processor};
use aqueduct_framework::units::Period;
use schemars::JsonSchema;
use serde::Deserialize;

/// Waits, as slow work would: for trials.
///
/// At least one of `per_frame` and `per_batch` is set.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How long it takes over each frame.
    #[serde(default)]
    per_frame: Period,
    /// How long it takes over each batch, before its first frame.
    #[serde(default)]
    per_batch: Period,
    /// Whether it blocks its thread meanwhile, as a computation or an old library does, or waits asynchronously.
    #[serde(default = "yes")]
    blocking: bool,
}

fn yes() -> bool {
    true
}

/// The plugin.
pub struct Delay {
    config: Config,
}

impl Processor for Delay {
    type Config = Config;
    const NAME: &'static str = "delay";
    const SAMPLE: &'static str = include_str!("sample.toml");
    const PLACEMENT: Placement = Placement::Own;

    fn new(config: Config, _: &Context) -> Result<Self> {
        if config.per_frame.duration().is_zero() && config.per_batch.duration().is_zero() {
            return Err(Error::fatal(
                "set `per_frame` or `per_batch`, such as per_frame = \"5ms\"",
            ));
        }
        Ok(Self { config })
    }

    fn frame(&mut self, frame: Frame<'_>, out: &mut Output) -> Result<()> {
        out.keep(frame);
        Ok(())
    }

    async fn batch(&mut self, frames: &mut Frames<'_>, out: &mut Output) -> Result<()> {
        self.wait(self.config.per_batch.duration()).await;
        while let Some(frame) = frames.next(out) {
            self.wait(self.config.per_frame.duration()).await;
            self.frame(frame, out)?;
        }
        Ok(())
    }
}

impl Delay {
    async fn wait(&self, time: Duration) {
        if time.is_zero() {
            return;
        }
        if self.config.blocking {
            std::thread::sleep(time);
        } else {
            tokio::time::sleep(time).await;
        }
    }
}
