//! The source `file`: a file from its beginning to its end, cut by the framing, or the letters that the sink `file` wrote as JSON.

mod letter;
mod letters;
mod lines;
#[cfg(test)]
pub(super) mod tests;

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::pin::pin;

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::plugin::{Context, Feed, Placement, Source};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::letters::{Found, Letters};
use super::input::{self, Input};

/// Lines that cannot be read and are told one by one; after them, only when their number doubles.
const TOLD: u64 = 20;

/// Reads a file to its end, such as dead letters that the sink `file` wrote.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// The file, relative to the pipeline file. What is appended after the start is not read.
    path: PathBuf,
    /// What is in it.
    #[serde(default)]
    format: Format,
}

/// What is in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Format {
    /// Frames in this source's framing.
    #[default]
    Frames,
    /// What the sink `file` writes with `format = "json"`: a frame per line, which comes back with its number, time, trace and attributes.
    Json,
}

/// The plugin.
pub(super) struct FromFile {
    path: PathBuf,
    format: Format,
    context: Context,
}

impl Source for FromFile {
    type Config = Config;
    const NAME: &'static str = "file";
    const SAMPLE: &'static str = include_str!("sample.toml");
    // A read of a slow disk may block the thread.
    const PLACEMENT: Placement = Placement::Own;
    const PATHS: &'static [&'static str] = &["path"];

    fn new(config: Config, context: &Context) -> Result<Self> {
        Ok(Self {
            path: context.path(config.path),
            format: config.format,
            context: context.clone(),
        })
    }

    async fn run(&mut self, feed: &Feed) -> Result<()> {
        let (file, bytes) = open(&self.path)?;
        match self.format {
            Format::Frames => input::read(Input::first(file, bytes), &self.path.display().to_string(), feed).await,
            Format::Json => self.letters(file, bytes, feed).await,
        }
    }
}

impl FromFile {
    async fn letters(&self, file: File, bytes: u64, feed: &Feed) -> Result<()> {
        let path = self.path.display();
        let mut letters = Letters::new(BufReader::new(file.take(bytes)), feed.limits().max_frame_bytes);
        let mut stopping = pin!(feed.stopping());
        loop {
            let found = letters.next();
            match found.map_err(|error| Error::fatal(format!("cannot read {path}")).because(error))? {
                None => return Ok(()),
                Some(Found::Unreadable(why)) => self.unreadable(letters.line(), &why),
                Some(Found::Batch(batch)) => {
                    self.context
                        .say("state", format!("at line {} of {path}", letters.line()));
                    tokio::select! {
                        biased;
                        () = &mut stopping => return Ok(()),
                        () = feed.forward(batch) => {}
                    }
                }
            }
            // Orders to stop come to this thread.
            tokio::task::yield_now().await;
            if feed.is_stopping() {
                return Ok(());
            }
        }
    }

    fn unreadable(&self, line: u64, why: &str) {
        let counter = self.context.counter("unreadable_lines");
        counter.add(1);
        let total = counter.get();
        if total <= TOLD || total.is_power_of_two() {
            let (actor, path) = (&self.context.actor, self.path.display());
            tracing::warn!(%actor, total, "line {line} of {path} is left out, the rest goes on: {why}");
        }
    }
}

/// Opens a regular file, and says how long it is now: what is appended later, perhaps by the very pipeline that reads it, is not read.
fn open(path: &Path) -> Result<(File, u64)> {
    let cannot = |error| Error::fatal(format!("cannot open {}; correct `path`", path.display())).because(error);
    // Asked before it is opened: to open a named pipe is to wait for its writer.
    let found = std::fs::metadata(path).map_err(cannot)?;
    if !found.is_file() {
        let path = path.display();
        return Err(Error::fatal(format!(
            "{path} is no regular file; for a pipe there is the source `stdin`"
        )));
    }
    let file = File::open(path).map_err(cannot)?;
    let bytes = file.metadata().map_err(cannot)?.len();
    Ok((file, bytes))
}
