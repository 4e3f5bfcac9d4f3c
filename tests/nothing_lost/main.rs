//! The proof that a spill store loses nothing that it acknowledged: its storage on modelled disks that lose power, fail, lie and rot.
//!
//! ```text
//! cargo test --test nothing_lost --features seeded-bugs                           # a few minutes, as in CI
//! AQUEDUCT_HARNESS=50 cargo test --release --test nothing_lost --features seeded-bugs    # fifty times that
//! ```
//! `AQUEDUCT_SEED` chooses other cases; a failure names the seed with which it comes again. Every part prints how many
//! cases it tried and what it found. The bugs of `aqueduct_framework::spill::bugs` are there to show that it finds something.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod disk;
mod faults;
mod golden;
mod model;
mod power;
mod random;
mod rot;
mod script;
mod seeded;
mod store;

use std::time::Instant;

/// How many times the default number of cases.
fn scale() -> u64 {
    let scale = std::env::var("AQUEDUCT_HARNESS").ok();
    scale.and_then(|scale| scale.parse().ok()).unwrap_or(1)
}

/// Where the cases begin.
fn seed() -> u64 {
    let seed = std::env::var("AQUEDUCT_SEED").ok();
    seed.and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

/// The storage engine panics on some kinds of damage; the store contains that, and its text is of no use here.
fn hush() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let engine = panic.location().is_some_and(|place| place.file().contains("redb-"));
            if !engine || std::env::var_os("SHOW").is_some() {
                before(panic);
            }
        }));
    });
}

/// Runs one part and prints what it tried; with a failure it says how to see it again.
fn report(part: &str, run: impl FnOnce() -> Result<String, String>) {
    hush();
    let began = Instant::now();
    match run() {
        Ok(tried) => println!("{part}: {tried}, 0 failures, {:.1} s", began.elapsed().as_secs_f64()),
        Err(found) => panic!("{part}: {found}"),
    }
}
