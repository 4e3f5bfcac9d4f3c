//! The test of the tests: bugs put in on purpose, each of which must be caught.

use std::panic::{AssertUnwindSafe, catch_unwind};

use aqueduct_framework::spill::bugs::{Bug, Bugs};

use crate::{faults, model, power, report, rot};

/// A part of the harness, at a size that is enough for a bug.
type Check = (&'static str, fn(Bugs) -> Result<(), String>);

const CHECKS: [Check; 6] = [
    ("power loss", |bugs| power::run(bugs, 1, 6_000).map(drop)),
    ("reads that fail", |bugs| faults::live(bugs, 0)),
    ("bit rot", |bugs| rot::flips(bugs, 1, 400).map(drop)),
    ("truncated files", |bugs| rot::cuts(bugs, 1, 100).map(drop)),
    ("model", |bugs| model::run(bugs, 1, 200).map(drop)),
    ("disk failures", |bugs| faults::run(bugs, 1, 5).map(drop)),
];

#[test]
fn every_seeded_bug_is_caught() {
    report("seeded bugs", || {
        let mut escaped = Vec::new();
        for bug in Bug::ALL {
            let caught = CHECKS.iter().find_map(|(name, check)| {
                let checked = catch_unwind(AssertUnwindSafe(|| check(Bugs::only(bug))));
                Some((name, checked.unwrap_or_else(|_| Err("a panic".to_owned())).err()?))
            });
            match caught {
                Some((name, how)) => println!("  {bug:?}: caught by {name}: {how}"),
                None => escaped.push(bug),
            }
        }
        match escaped[..] {
            [] => Ok(format!("{} bugs, all caught", Bug::ALL.len())),
            _ => Err(format!("not caught: {escaped:?}")),
        }
    });
}
