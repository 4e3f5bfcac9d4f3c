//! The `aqueduct` program: the shipped plugins, nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    aqueduct::main(|plugins| plugins)
}
