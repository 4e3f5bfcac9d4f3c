//! The self-test: the harness must catch every bug that `aqueduct_framework::seeded` can put in.
//!
//! Each bug is played in a process of its own, which is this test binary again with the bug's name in its environment; the real program
//! inherits it. The parts are asked one after another, the cheapest first, until one fails: that one has caught it.

use std::process::{Command, Stdio};
use std::time::Instant;

use aqueduct::framework::seeded::Bug;

use crate::effort::say;

/// A part as the self-test asks it: the tests that it is, and how many cases.
const PARTS: [(&str, &str); 4] = [
    ("simulation::", "400"),
    ("interleavings::", "1"),
    ("mutations::framing", "2000"),
    ("network::", "36"),
];

#[test]
fn every_bug_on_purpose_is_caught() {
    if std::env::var_os("AQUEDUCT_SEEDED_BUG").is_some() {
        return;
    }
    let began = Instant::now();
    // A part that fails without a bug would seem to catch them all.
    let broken = PARTS.iter().find(|(part, cases)| !passes(None, part, cases));
    assert_eq!(broken, None, "fails without any bug on purpose");
    let caught: Vec<_> = Bug::ALL
        .into_iter()
        .map(|bug| {
            let by = PARTS.iter().find(|(part, cases)| !passes(Some(bug), part, cases));
            (bug, by.map(|(part, _)| *part))
        })
        .collect();
    for (bug, by) in &caught {
        let by = by.map_or("NOTHING", |part| part.trim_end_matches("::"));
        say(&format!("seeded bug {bug:?}: caught by {by}"));
    }
    let missed: Vec<_> = caught.iter().filter(|(_, by)| by.is_none()).collect();
    assert!(missed.is_empty(), "not caught: {missed:?}");
    say(&format!(
        "seeded bugs: {} of {} caught in {:.1} s",
        caught.len(),
        Bug::ALL.len(),
        began.elapsed().as_secs_f64()
    ));
}

fn passes(bug: Option<Bug>, part: &str, cases: &str) -> bool {
    let ended = Command::new(std::env::current_exe().expect("this test is a program"))
        .args([part, "--test-threads", "1"])
        .envs(bug.map(|bug| ("AQUEDUCT_SEEDED_BUG", format!("{bug:?}"))))
        .env("AQUEDUCT_CASES", cases)
        .env("AQUEDUCT_SEED", "1")
        .env("RUST_BACKTRACE", "0")
        .env_remove("AQUEDUCT_HOURS")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    ended.expect("it starts").success()
}
