//! The source `stdin`: the standard input, cut by the framing, until its end.

#[cfg(test)]
pub(super) mod tests;

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::plugin::{Context, Feed, Placement, Source};
use schemars::JsonSchema;
use serde::Deserialize;

use super::input::{self, Input};

/// Reads standard input until its end.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {}

/// The plugin.
pub(super) struct Stdin;

impl Source for Stdin {
    type Config = Config;
    const NAME: &'static str = "stdin";
    const SAMPLE: &'static str = include_str!("sample.toml");
    // A read of a slow disk or a frozen terminal may block the thread.
    const PLACEMENT: Placement = Placement::Own;

    fn new(_: Config, _: &Context) -> Result<Self> {
        Ok(Self)
    }

    async fn run(&mut self, feed: &Feed) -> Result<()> {
        let file = io::stdin().as_fd().try_clone_to_owned();
        let file = file.map_err(|error| Error::fatal("there is no standard input; redirect one").because(error))?;
        input::read(Input::new(File::from(file)), "the standard input", feed).await
    }
}
