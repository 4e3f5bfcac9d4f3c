//! `aqueduct demo`: the story, played on loopback.

use std::process::ExitCode;

use clap::Args;

use crate::framework::plugin::Registry;

/// Play the story
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Leave config, logs and data behind to look at
    #[arg(long)]
    keep: bool,
}

impl Demo {
    pub(crate) fn run(&self, _: &Registry) -> ExitCode {
        eprintln!("not yet (keep = {})", self.keep);
        ExitCode::FAILURE
    }
}
