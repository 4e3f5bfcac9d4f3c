//! Aqueduct: actor pipelines that drain a source that will not wait, keep the overflow on disk in FIFO order, and deliver it
//! later by themselves.
//!
//! This crate is the composition root: the framework, the shipped plugins, and the command line around them. A program with plugins of its own
//! is one line, `aqueduct::main(|plugins| plugins.processor::<Dedup>())`; `aqueduct new plugin NAME` writes one to begin with. A program that runs
//! pipelines itself starts at [`framework::pipeline::Pipeline`].
//!
//! # Exit codes
//! | code | meaning |
//! |---|---|
//! | 0 | ended in order; every frame was delivered, rejected to where the flow says, or is safe in a spill store |
//! | 1 | the pipeline failed: an actor could not go on, a store could not be opened; or a command could not write what it prints |
//! | 2 | the command line or a config is wrong; nothing was opened or created |
//! | 3 | frames were lost: undelivered without a store upstream, or dropped by `when_full` |
//! | 4 | ended by force: a second signal, or the shutdown deadline; stores hold what they had committed |

#![warn(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "they panic where nothing can be written; see `say`"
)]

mod admin;
mod cli;
mod commands;
mod live;
mod log;
mod process;
mod reports;
mod say;
mod signals;
mod terminal;
mod words;

use std::process::ExitCode;

pub use aqueduct_framework as framework;
pub use aqueduct_plugins as plugins;
use framework::plugin::Registry;

/// Runs the command line with the shipped plugins and those that `register` adds.
pub fn main(register: impl for<'a> FnOnce(&'a mut Registry) -> &'a mut Registry) -> ExitCode {
    process::prepare();
    let mut registry = Registry::default();
    plugins::register(&mut registry);
    register(&mut registry);
    cli::run(registry)
}
