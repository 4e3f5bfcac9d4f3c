//! `rewrite`: replaces what a regular expression matches.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use aqueduct_framework::batch::Frame;
use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::plugin::{Context, Output, Placement, Processor};
use regex::bytes::Regex;
use schemars::JsonSchema;
use serde::Deserialize;

/// Replaces what matches a regular expression.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The regular expression to look for in each frame (syntax of the Rust crate `regex`).
    matches: String,
    /// What stands there afterwards: `$1` or `${1}` is the first group, `${name}` a named one, `$$` a dollar sign.
    replace: String,
    /// Whether every match in a frame is replaced, or only the first.
    #[serde(default = "yes")]
    all: bool,
}

fn yes() -> bool {
    true
}

/// The plugin.
pub struct Rewrite {
    pattern: Regex,
    replace: Vec<u8>,
    /// Matches replaced in a frame; 0 is all, as `regex` counts.
    limit: usize,
}

impl Processor for Rewrite {
    type Config = Config;
    const NAME: &'static str = "rewrite";
    const SAMPLE: &'static str = include_str!("sample.toml");
    const PLACEMENT: Placement = Placement::Data;

    fn new(config: Config, _: &Context) -> Result<Self> {
        let pattern = Regex::new(&config.matches).map_err(|error| {
            Error::fatal(format!("`matches` = {:?} is no regular expression", config.matches)).because(error)
        })?;
        Ok(Self {
            pattern,
            replace: config.replace.into_bytes(),
            limit: usize::from(!config.all),
        })
    }

    fn frame(&mut self, frame: Frame<'_>, out: &mut Output) -> Result<()> {
        match self
            .pattern
            .replacen(frame.bytes(), self.limit, self.replace.as_slice())
        {
            Cow::Borrowed(_) => out.keep(frame),
            Cow::Owned(rewritten) => out.push(&rewritten),
        }
        Ok(())
    }
}
