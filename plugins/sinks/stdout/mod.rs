//! The sink `stdout`: the standard output, in the sink's framing.

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::plugin::{Context, Delivery, Placement, Sink};
use schemars::JsonSchema;
use serde::Deserialize;

/// Writes to standard output.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {}

/// The plugin.
pub(super) struct Stdout {
    /// Without the line buffer of the standard library, which would hold back what counts as delivered.
    output: Option<File>,
}

impl Sink for Stdout {
    type Config = Config;
    const NAME: &'static str = "stdout";
    const SAMPLE: &'static str = include_str!("sample.toml");
    // Whoever reads a pipe slowly blocks the write.
    const PLACEMENT: Placement = Placement::Own;

    fn new(_: Config, _: &Context) -> Result<Self> {
        Ok(Self { output: None })
    }

    async fn open(&mut self) -> Result<()> {
        let output = io::stdout().as_fd().try_clone_to_owned();
        let output = output.map_err(|error| Error::fatal("there is no standard output; redirect it").because(error))?;
        self.output = Some(File::from(output));
        Ok(())
    }

    async fn write(&mut self, delivery: &mut Delivery) -> Result<()> {
        let output = self.output.as_mut().ok_or_else(|| Error::unavailable("not open yet"))?;
        write(output, delivery)
    }
}

fn write(output: &mut impl Write, delivery: &mut Delivery) -> Result<()> {
    while !delivery.wire().is_empty() {
        match output.write(delivery.wire()) {
            Ok(written) => delivery.advance(written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                return Err(Error::fatal("whoever read the standard output has gone").because(error));
            }
            Err(error) => return Err(Error::unavailable("the standard output takes nothing").because(error)),
        }
    }
    Ok(())
}
