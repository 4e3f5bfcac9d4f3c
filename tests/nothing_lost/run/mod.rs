//! Runs the parts of the harness: chooses cases, contains their failures, and tells at the end what was tried.

mod effort;
mod summary;
mod workers;

use std::process::ExitCode;

pub(crate) use effort::Effort;

/// A part of the harness.
pub(crate) struct Part {
    /// Selects it on the command line.
    pub(crate) name: &'static str,
    pub(crate) size: Size,
    /// Plays one case. It has failed when it returns an error, or panics.
    pub(crate) play: fn(&mut Case) -> Result<(), String>,
}

/// How many cases a part has.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Size {
    /// So many and no more, numbered from 0: each is played once, however long the run.
    All(u64),
    /// As many as there are seeds; so many of them are a round, and a run has one round or more.
    Round(u64),
}

/// A case that is played.
pub(crate) struct Case {
    /// Its number, or its seed: the same one is the same case.
    pub(crate) seed: u64,
    counts: Vec<(&'static str, u64)>,
    notes: Vec<String>,
}

impl Case {
    fn new(seed: u64) -> Self {
        Self {
            seed,
            counts: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Numbers that come again with the seed.
    pub(crate) fn random(&self) -> fastrand::Rng {
        // Consecutive seeds of this generator begin with related numbers.
        fastrand::Rng::with_seed(self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// Counts something that was tried or found; the summary has the sum over all cases.
    pub(crate) fn count(&mut self, what: &'static str, number: u64) {
        add(&mut self.counts, what, number);
    }

    /// A line for the end of the summary.
    pub(crate) fn note(&mut self, line: String) {
        self.notes.push(line);
    }
}

fn add(counts: &mut Vec<(&'static str, u64)>, what: &'static str, number: u64) {
    match counts.iter_mut().find(|(name, _)| *name == what) {
        Some((_, sum)) => *sum += number,
        None => counts.push((what, number)),
    }
}

/// Runs the parts whose names contain one of the arguments, or with `--exact` are one of them; all of them without any.
pub(crate) fn main(parts: &'static [Part]) -> ExitCode {
    let effort = match Effort::from_environment() {
        Ok(effort) => effort,
        Err(mistake) => {
            eprintln!("{mistake}");
            return ExitCode::from(2);
        }
    };
    let (flags, wanted): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|arg| arg.starts_with('-'));
    if flags.iter().any(|flag| flag == "--list") {
        parts.iter().for_each(|part| println!("{}: test", part.name));
        return ExitCode::SUCCESS;
    }
    // Others, such as --nocapture, are for the runner of the usual tests: here they change nothing.
    let exact = flags.iter().any(|flag| flag == "--exact");
    let is_wanted = |name: &str| match exact {
        true => wanted.iter().any(|word| word == name),
        false => wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str())),
    };
    let chosen: Vec<&Part> = parts.iter().filter(|part| is_wanted(part.name)).collect();
    if chosen.is_empty() {
        eprintln!("no part is called {wanted:?}; there are:");
        parts.iter().for_each(|part| eprintln!("  {}", part.name));
        return ExitCode::from(2);
    }
    hush();
    let report = workers::run(chosen, &effort);
    summary::print(&report, &effort);
    if report.has_failed() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// The storage engine panics on some kinds of damage; the store contains that, and its text is of no use here.
fn hush() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let engine = panic.location().is_some_and(|place| place.file().contains("redb-"));
        if !engine {
            before(panic);
        }
    }));
}
