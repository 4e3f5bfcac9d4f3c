//! Pipelines in a hostile world: everything here looks for a case in which a frame is lost, comes twice, or comes out of order.
//!
//! | part | what it does |
//! |---|---|
//! | [`kill`] | the real program under load, killed at random moments, against a high-water mark outside of it |
//! | [`network`] | the real program behind a proxy that delays, slices, stalls, refuses, half-closes and resets, on both legs |
//! | [`interleavings`] | every order in which the messages between actors can arrive, over the real state machines |
//! | [`simulation`] | a whole pipeline of the real state machines under a scheduler that a seed drives |
//! | [`mutations`] | the functions of the fuzz targets over a corpus and seeded mutations of it |
//! | [`seeded`] | the self-test: bugs on purpose, each of which the parts above must catch |
//!
//! The receipts that cross threads are checked by the crate in `tests/interleavings`; the fuzz targets for a fuzzer are in
//! `tests/fuzz`.
//!
//! Each part prints how many cases it tried and what it found. Every case has a seed of its own; one that fails prints the command
//! that plays it again. These variables change what is run:
//!
//! | variable | meaning | unset |
//! |---|---|---|
//! | `AQUEDUCT_HARNESS` | how many times as many cases | 1: fit for CI |
//! | `AQUEDUCT_HOURS` | instead: the hours that all parts together may take, such as `0.5` | by number of cases |
//! | `AQUEDUCT_SEED` | the seed of the first case; the others count on from it | 1 |
//! | `AQUEDUCT_CASES` | instead: exactly so many cases of each part, to play one again | |
//!
//! The long run is one command:
//!
//! ```sh
//! AQUEDUCT_HOURS=1 AQUEDUCT_SEED=$RANDOM cargo test --release --features seeded-bugs --test hostile -- --test-threads 1
//! ```

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod effort;
#[path = "../harness/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with the end-to-end tests")]
mod harness;
mod interleavings;
mod kill;
mod mutations;
mod network;
mod seeded;
mod simulation;
