//! The source `file`: a file from its beginning to its end, cut by the framing, or the letters that the sink `file` wrote as JSON.

mod letter;
mod lines;
#[cfg(test)]
pub(super) mod tests;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::pin::pin;

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::plugin::{Context, Feed, Placement, Source};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::letter::{Letter, Stack};
use self::lines::{Line, Lines};
use super::input::{self, Input};

/// What a frame's attributes may take beside its bytes, in a line of JSON.
const REST_BYTES: u64 = 1024 * 1024;

/// JSON writes a byte with six at most, as in `\u0000`.
const BYTES_PER_BYTE: u64 = 6;

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
        let max_frame_bytes = feed.limits().max_frame_bytes;
        let most = max_frame_bytes
            .saturating_mul(BYTES_PER_BYTE)
            .saturating_add(REST_BYTES);
        let mut lines = Lines::new(BufReader::new(std::io::Read::take(file, bytes)), most);
        let (mut stack, mut stopping) = (Stack::default(), pin!(feed.stopping()));
        loop {
            let line = lines
                .next()
                .map_err(|error| Error::fatal(format!("cannot read {}", self.path.display())).because(error))?;
            let letter = match line {
                None => break,
                Some(Line::Blank) => continue,
                Some(Line::TooLong) => Err(format!(
                    "it is longer than {most} bytes, which no frame of `max_frame_bytes` takes"
                )),
                Some(Line::Whole(line)) => Letter::read(line, max_frame_bytes),
            };
            let full = match letter {
                Ok(letter) => stack.push(letter),
                Err(why) => {
                    self.unreadable(lines.number(), &why);
                    None
                }
            };
            if let Some(batch) = full {
                tokio::select! {
                    biased;
                    () = &mut stopping => return Ok(()),
                    () = feed.forward(batch) => tokio::task::yield_now().await,
                }
            }
        }
        if let Some(batch) = stack.take() {
            tokio::select! {
                biased;
                () = &mut stopping => {}
                () = feed.forward(batch) => {}
            }
        }
        Ok(())
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
