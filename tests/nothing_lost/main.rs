//! The harness: looks for a case in which a frame is lost that was acknowledged, comes twice, out of order or changed, in which
//! something hangs, or in which a panic escapes.
//!
//! | part | what it does |
//! |---|---|
//! | [`seeded`] | the self-test: bugs on purpose, each of which the other parts must catch |
//! | [`golden`] | stores that earlier versions wrote |
//! | [`interleavings`] | every order in which the messages between actors can arrive, over the real state machines |
//! | [`kill`] | the real program under load, killed at random moments, against a high-water mark outside of it |
//! | [`kill_named`] | the same with named clients, one slow and one away |
//! | [`network`] | the real program behind a proxy that delays, slices, stalls, refuses, half-closes and resets, on both legs, also with answers; two of them with a link between |
//! | [`power`] | a store's files on a disk that loses its power at any sync, also while it recovers from the last time |
//! | [`faults`] | the same on a disk that fails, is full or lies, from any operation on |
//! | [`rot`] | the same with bytes flipped, and files cut or replaced |
//! | [`cursors`] | named cursors on one store, with retention: power cuts, failures and damage at random, against a model of what each must get |
//! | [`model`] | the whole store against a model of what it must do, with all of that at random |
//! | [`simulation`] | a whole pipeline of the real state machines under a scheduler that a seed drives |
//! | [`mutations`] | the functions of the fuzz targets over a corpus and seeded mutations of it |
//!
//! The receipts that cross threads are checked by the crate in `tests/interleavings`; the fuzz targets for a fuzzer are in
//! `tests/fuzz`.
//!
//! ```sh
//! cargo test --features seeded-bugs --test nothing_lost                       # one round, as in CI
//! AQUEDUCT_HOURS=1 AQUEDUCT_SEED=$RANDOM cargo test --release --features seeded-bugs --test nothing_lost    # the long run
//! cargo test --features seeded-bugs --test nothing_lost -- network power      # the parts with these words in their names
//! ```
//! The parts with a fixed number of cases are played once; the others in rounds, each with new seeds. At the end stands a table for the
//! README, of what was tried and found. Every case that fails prints the command that plays it again. These variables change what is run:
//!
//! | variable | meaning | unset |
//! |---|---|---|
//! | `AQUEDUCT_HARNESS` | so many rounds | 1 |
//! | `AQUEDUCT_HOURS` | instead: as many rounds as fit into so many hours, such as `0.5` | by number of rounds |
//! | `AQUEDUCT_SEED` | the seed of the first case; the others count on from it | 1 |
//! | `AQUEDUCT_CASES` | a round is exactly so many cases of each part, to play one again | as in `PARTS` |
//! | `AQUEDUCT_SEEDED_BUG` | everything has this bug of `aqueduct_framework::seeded` | none |
//!
//! # To add a part
//! Write a function that plays one case, `fn(&mut Case) -> Result<(), String>`: it takes everything random from [`Case::seed`](run::Case), counts what
//! it tries and finds with `Case::count`, and fails with an error or a panic. Put it into `PARTS` with a name and the size of a round,
//! which should take a few seconds, and into the table above. If it can find a kind of bug that no other part finds, put such bugs into
//! `framework/src/seeded.rs`, and the part into the list in `seeded.rs` with a number of cases that is enough for them. A function over arbitrary bytes
//! belongs into `tests/fuzz/targets` instead, with a line in `mutations.rs` and, for a fuzzer, a binary in `tests/fuzz`. More of what a pipeline does
//! under faults, such as another protocol, is a kind of trial in `network`; more of what a store does, a step in `model`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod cursors;
mod disk;
mod faults;
mod golden;
#[path = "../harness/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with the end-to-end tests")]
mod harness;
mod interleavings;
mod kill;
mod kill_named;
mod model;
mod mutations;
mod network;
mod power;
mod random;
mod rot;
mod run;
mod script;
mod seeded;
mod simulation;
mod store;

use std::process::ExitCode;

use run::Part;
use run::Size::{All, Round};

const fn part(name: &'static str, size: run::Size, play: fn(&mut run::Case) -> Result<(), String>) -> Part {
    Part { name, size, play }
}

/// Those that take long per case come first, so that no core waits at the end of a round.
static PARTS: &[Part] = &[
    part("seeded", All(seeded::CASES), seeded::play),
    part(
        "interleavings_of_receipts",
        All(interleavings::RECEIPTS),
        interleavings::receipts,
    ),
    part(
        "interleavings_of_demand",
        All(interleavings::DEMAND),
        interleavings::demand,
    ),
    part("interleavings_of_workers", All(1), interleavings::workers),
    part("interleavings_of_a_shutdown", All(1), interleavings::shutdown),
    part("golden", All(golden::CASES), golden::play),
    part("fuzz_corpus", All(mutations::TARGETS), mutations::as_they_are),
    part("kill", Round(10), kill::play),
    part("kill_with_named_clients", Round(6), kill_named::play),
    part("network", Round(network::CASES), network::play),
    part("network_acknowledged", Round(24), network::acknowledged::play),
    part("network_answered", Round(24), network::answered::play),
    part("network_linked", Round(12), network::linked::play),
    part("faults", Round(faults::KINDS), faults::play),
    part("reads_that_fail", Round(20), faults::play_reads),
    part("drops_that_fail", Round(8), faults::play_drops),
    part("starts_that_fail", Round(20), faults::play_starts),
    part("starts_after_a_kill", Round(40), faults::play_killed),
    part("reopened_after_a_failure", Round(8), faults::play_reopened),
    part("flipped_bytes", Round(10), rot::play_flips),
    part("files_cut_or_replaced", Round(10), rot::play_cuts),
    part("names_of_stores_without_end", Round(10), rot::play_names),
    part("power", Round(8), power::play),
    part("cursors_on_a_failing_disk", Round(cursors::KINDS), cursors::play_faults),
    part("cursors_and_power", Round(6), cursors::play_power),
    part("cursors_at_random", Round(120), cursors::play_model),
    part("model", Round(5_000), model::play),
    part("simulation", Round(2_500), simulation::play),
    part("mutations_of_configs", Round(3_000), mutations::configs),
    part("mutations_of_framing", Round(60_000), mutations::framing),
    part("mutations_of_links", Round(30_000), mutations::links),
    part("mutations_of_records", Round(30_000), mutations::records),
];

fn main() -> ExitCode {
    run::main(PARTS)
}
