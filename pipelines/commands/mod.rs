//! The subcommands, one per file.

pub(crate) mod check;
pub(crate) mod demo;
pub(crate) mod explain;
pub(crate) mod graph;
pub(crate) mod new;
pub(crate) mod plugins;
pub(crate) mod run;
pub(crate) mod spill;
pub(crate) mod status;
pub(crate) mod trace;

use crate::say::say;
use std::process::ExitCode;

use crate::cli::Files;
use crate::framework::config::{self, Loaded};
use crate::framework::plugin::Registry;

/// Exit code: the pipeline failed.
pub(crate) const FAILED: u8 = 1;
/// Exit code: the command line or a config is wrong.
pub(crate) const WRONG: u8 = 2;
/// Exit code: frames were lost.
pub(crate) const LOST: u8 = 3;
/// Exit code: ended by force.
pub(crate) const FORCED: u8 = 4;

/// Loads and checks; prints every mistake, and every warning, to standard error.
pub(crate) fn load(files: &Files, registry: &Registry) -> Result<Loaded, ExitCode> {
    match config::load(&files.files, &files.options(), registry) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                say!("warning: {warning}");
            }
            Ok(loaded)
        }
        Err(mistakes) => {
            for mistake in &mistakes {
                say!("{mistake}");
            }
            let count = mistakes.len();
            say!(
                "{count} mistake{}; nothing was opened or created",
                if count == 1 { "" } else { "s" }
            );
            Err(ExitCode::from(WRONG))
        }
    }
}
