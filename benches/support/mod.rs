//! What the benchmarks share: options, the C programs, the Aqueduct process, numbered lines, figures against their targets.

// Each benchmark is a program of its own and uses a part of this.
#![allow(dead_code)]

pub(crate) mod aqueduct;
pub(crate) mod figures;
pub(crate) mod lines;
pub(crate) mod machine;
pub(crate) mod options;
pub(crate) mod process;
pub(crate) mod programs;

/// A benchmark stops at the first thing that goes wrong, and says it.
pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Length of every line, newline included.
pub(crate) const LINE_BYTES: u64 = 100;
