//! The source `spill`: what a spill store's directory still holds, from a position or a time on. It only reads: the store stays as it is.

mod progress;
#[cfg(test)]
pub(super) mod tests;
mod walker;

use std::path::PathBuf;
use std::pin::pin;
use std::time::{SystemTime, UNIX_EPOCH};

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::plugin::{Context, Feed, Source};
use aqueduct_framework::units::moment;
use schemars::JsonSchema;
use serde::Deserialize;

use self::progress::Progress;
use self::walker::Wanted;

/// Reads what a spill store's directory still holds, and changes nothing in it. `aqueduct spill DIR replay` uses it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// The `directory` of a table under [spills], a copy of it, or its folder `quarantine`; relative to the pipeline file.
    directory: PathBuf,
    /// Begin at this position. Unset: at the oldest frame that is not settled.
    from: Option<u64>,
    /// End before this position. Unset: behind the last frame that is there at the start.
    to: Option<u64>,
    /// Only frames received at this time or later, such as 2026-11-21T05:06:30Z (RFC 3339, any zone), a date (UTC) or 1h (ago).
    since: Option<String>,
}

/// The plugin.
pub(super) struct FromStore {
    wanted: Wanted,
    context: Context,
}

fn time(text: &str) -> Result<SystemTime> {
    moment(text, SystemTime::now()).map_err(|expected| Error::fatal(format!("`since` is {text:?}; {expected}")))
}

impl Source for FromStore {
    type Config = Config;
    const NAME: &'static str = "spill";
    const SAMPLE: &'static str = include_str!("sample.toml");
    const PATHS: &'static [&'static str] = &["directory"];

    fn new(config: Config, context: &Context) -> Result<Self> {
        let since = config.since.as_deref().map(time).transpose()?;
        let since = since
            .and_then(|since| since.duration_since(UNIX_EPOCH).ok())
            .unwrap_or_default();
        Ok(Self {
            wanted: Wanted {
                directory: context.path(config.directory),
                from: config.from,
                to: config.to.unwrap_or(u64::MAX),
                since_ns: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
            },
            context: context.clone(),
        })
    }

    async fn run(&mut self, feed: &Feed) -> Result<()> {
        let mut walker = walker::start(self.wanted.clone(), self.context.clone())?;
        let (mut progress, mut stopping) = (Progress::new(&self.context), pin!(feed.stopping()));
        loop {
            let found = tokio::select! {
                biased;
                () = &mut stopping => return Ok(()),
                found = walker.recv() => found,
            };
            let Some(found) = found else {
                self.context.gauge("finished").set(1);
                return Ok(());
            };
            let (position, mut batch) = found?;
            batch.receipt = progress.receipt(position, batch.len() as u64);
            tokio::select! {
                biased;
                () = &mut stopping => return Ok(()),
                () = feed.forward(batch) => {}
            }
        }
    }
}
