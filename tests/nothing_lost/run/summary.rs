//! What a human reads: failures with the command that plays them again, and the table for the README.

use std::process::Command;
use std::time::SystemTime;

use super::workers::{Report, Tried};
use super::{Effort, Size};

/// The last failure of a part.
pub(super) fn print_failure(tried: &Tried) {
    let Some((seed, failure)) = tried.failures.last() else {
        return;
    };
    println!(
        "FAILED {}: {failure}\n  play it again with: {}",
        tried.name,
        again(tried, *seed)
    );
}

fn again(tried: &Tried, seed: u64) -> String {
    let bug = std::env::var("AQUEDUCT_SEEDED_BUG")
        .map_or_else(|_| String::new(), |bug| format!("AQUEDUCT_SEEDED_BUG={bug} "));
    let seed = match tried.size {
        Size::All(_) => String::new(),
        Size::Round(_) => format!("AQUEDUCT_SEED={seed} AQUEDUCT_CASES=1 "),
    };
    let release = if cfg!(debug_assertions) { "" } else { "--release " };
    format!(
        "{bug}{seed}cargo test {release}--features seeded-bugs --test nothing_lost -- --exact {}",
        tried.name
    )
}

pub(super) fn print(report: &Report, effort: &Effort) {
    println!("\n| part | cases | of them, and found | seconds |\n|---|---|---|---|");
    for part in &report.parts {
        let counts: Vec<String> = part
            .counts
            .iter()
            .map(|(what, number)| format!("{} {what}", thousands(*number)))
            .collect();
        let failed = match part.failures.len() {
            0 => "0 failures".to_owned(),
            failures => format!("**{failures} FAILURES**"),
        };
        let found = [counts.as_slice(), &[failed]].concat().join(", ");
        println!(
            "| {} | {} | {found} | {:.1} |",
            part.name,
            thousands(part.cases),
            part.took.as_secs_f64()
        );
    }
    let cases = report.parts.iter().map(|part| part.cases).sum();
    let failures: usize = report.parts.iter().map(|part| part.failures.len()).sum();
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    println!(
        "\n{}, commit {}, seed {}: {} cases, {failures} failures, in {:.1} min on {} cores ({build} build), {} rounds",
        humantime::format_rfc3339_seconds(SystemTime::now()),
        commit(),
        effort.seed,
        thousands(cases),
        report.took.as_secs_f64() / 60.0,
        report.workers,
        report.rounds.saturating_sub(1),
    );
    let notes: Vec<&String> = report.parts.iter().flat_map(|part| &part.notes).collect();
    if !notes.is_empty() {
        println!();
        notes.iter().for_each(|note| println!("{note}"));
    }
    report.parts.iter().for_each(print_failure);
}

/// 1234567 as 1,234,567.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).unwrap_or(""))
        .collect();
    groups.join(",")
}

/// The commit that was tried, with a plus when files differ from it.
fn commit() -> String {
    let git = |args: &[&str]| {
        let run = Command::new("git")
            .args(args)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .ok()?;
        run.status
            .success()
            .then(|| String::from_utf8_lossy(&run.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short", "HEAD"]) else {
        return "unknown".to_owned();
    };
    match git(&["status", "--porcelain", "--untracked-files=no"]) {
        Some(changes) if changes.is_empty() => commit,
        _ => format!("{commit}+"),
    }
}
