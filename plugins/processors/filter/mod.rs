//! `filter`: keeps or drops the frames that contain a text or match a pattern.

mod scan;
#[cfg(test)]
mod tests;

use aqueduct_framework::batch::Frame;
use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::plugin::{Context, Frames, Output, Placement, Processor};
use memchr::memmem::Finder;
use regex::bytes::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The output of the frames that are not kept. Where the flow does not use it, they are counted as `filtered`.
const DROPPED: &str = "dropped";

/// Keeps or drops the frames that contain a text or match a regular expression.
///
/// Exactly one of `contains` and `matches` is set.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The text to look for in each frame, byte for byte.
    #[schemars(length(min = 1))]
    contains: Option<String>,
    /// The regular expression to look for in each frame (syntax of the Rust crate `regex`). It may match anywhere, unless it is anchored.
    matches: Option<String>,
    /// What happens to the frames that contain or match it: `keep` them and drop the others, or `drop` them and keep the others.
    #[serde(default)]
    mode: Mode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Mode {
    #[default]
    Keep,
    Drop,
}

enum Pattern {
    Text(Box<Finder<'static>>),
    Regex(Regex),
}

/// The plugin.
pub struct Filter {
    pattern: Pattern,
    mode: Mode,
}

impl Processor for Filter {
    type Config = Config;
    const NAME: &'static str = "filter";
    const SAMPLE: &'static str = include_str!("sample.toml");
    const PLACEMENT: Placement = Placement::Data;
    const OUTPUTS: &'static [&'static str] = &[DROPPED];

    fn new(config: Config, _: &Context) -> Result<Self> {
        let pattern = match (config.contains, config.matches) {
            (Some(text), None) if text.is_empty() => {
                return Err(Error::fatal(
                    "`contains` is empty, so every frame contains it; give it a text",
                ));
            }
            (Some(text), None) => Pattern::Text(Box::new(Finder::new(&text).into_owned())),
            (None, Some(pattern)) => Pattern::Regex(Regex::new(&pattern).map_err(|error| {
                Error::fatal(format!("`matches` = {pattern:?} is no regular expression")).because(error)
            })?),
            _ => {
                return Err(Error::fatal(
                    "set exactly one of `contains` (plain text) and `matches` (a regular expression)",
                ));
            }
        };
        Ok(Self {
            pattern,
            mode: config.mode,
        })
    }

    fn frame(&mut self, frame: Frame<'_>, out: &mut Output) -> Result<()> {
        let found = match &self.pattern {
            Pattern::Text(finder) => finder.find(frame.bytes()).is_some(),
            Pattern::Regex(regex) => regex.is_match(frame.bytes()),
        };
        if found == (self.mode == Mode::Keep) {
            out.keep(frame);
        } else {
            out.send(DROPPED, frame);
        }
        Ok(())
    }

    async fn batch(&mut self, frames: &mut Frames<'_>, out: &mut Output) -> Result<()> {
        let Pattern::Text(finder) = &self.pattern else {
            while let Some(frame) = frames.next(out) {
                self.frame(frame, out)?;
            }
            return Ok(());
        };
        // Looking through the payload at once is several times faster than frame by frame when few frames hold the text.
        while frames.left() > 0 {
            let rest = frames.rest();
            let hit = scan::next_with(finder, frames.batch(), rest.clone());
            self.pass(hit.unwrap_or(rest.end) - rest.start, false, frames, out);
            self.pass(usize::from(hit.is_some()), true, frames, out);
        }
        Ok(())
    }
}

impl Filter {
    fn pass(&self, count: usize, found: bool, frames: &mut Frames<'_>, out: &mut Output) {
        if found == (self.mode == Mode::Keep) {
            frames.keep(count, out);
        } else {
            frames.send(count, DROPPED, out);
        }
    }
}
