//! Threads that play cases, and what came of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::effort::Cases;
use super::{Case, Effort, Part, Size, add};

/// How long one case may take: beyond that it hangs. Far more than any takes, so that a busy machine fails none.
const HANGS_AFTER: Duration = Duration::from_secs(900);

/// What came of all.
pub(super) struct Report {
    pub(super) parts: Vec<Tried>,
    pub(super) rounds: u64,
    pub(super) workers: usize,
    pub(super) took: Duration,
}

/// What came of a part.
pub(super) struct Tried {
    pub(super) name: &'static str,
    pub(super) size: Size,
    pub(super) cases: u64,
    /// Sums of what its cases counted.
    pub(super) counts: Vec<(&'static str, u64)>,
    pub(super) notes: Vec<String>,
    /// Of all workers together.
    pub(super) took: Duration,
    pub(super) failures: Vec<(u64, String)>,
}

impl Report {
    pub(super) fn has_failed(&self) -> bool {
        self.parts.iter().any(|part| !part.failures.is_empty())
    }
}

struct State {
    cases: Cases,
    parts: Vec<Tried>,
    /// What each worker plays: a part, a seed, since when. None: it is done.
    playing: Vec<Option<(usize, u64, Instant)>>,
}

struct Shared {
    plays: Vec<&'static Part>,
    state: Mutex<State>,
    done: Condvar,
}

/// Plays all cases, one for each core at a time.
pub(super) fn run(parts: Vec<&'static Part>, effort: &Effort) -> Report {
    let began = Instant::now();
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let tried = parts.iter().map(|part| Tried {
        name: part.name,
        size: part.size,
        cases: 0,
        counts: Vec::new(),
        notes: Vec::new(),
        took: Duration::ZERO,
        failures: Vec::new(),
    });
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            cases: effort.cases(&parts),
            parts: tried.collect(),
            playing: vec![Some((0, 0, began)); workers],
        }),
        plays: parts,
        done: Condvar::new(),
    });
    for worker in 0..workers {
        let shared = shared.clone();
        std::thread::spawn(move || shared.work(worker));
    }
    let mut state = shared.wait(began);
    Report {
        parts: std::mem::take(&mut state.parts),
        rounds: state.cases.round,
        workers,
        took: began.elapsed(),
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, worker: usize) {
        let mut state = self.state();
        while let Some((part, seed)) = state.cases.next() {
            let began = Instant::now();
            state.playing[worker] = Some((part, seed, began));
            drop(state);
            let mut case = Case::new(seed);
            let played = catch_unwind(AssertUnwindSafe(|| (self.plays[part].play)(&mut case)));
            let played = played.unwrap_or_else(|panic| Err(text(&*panic)));
            state = self.state();
            state.note(part, case, began.elapsed(), played.err());
        }
        state.playing[worker] = None;
        drop(state);
        self.done.notify_all();
    }

    /// Until all have been played, or one hangs: threads cannot be ended, so that is the end of all.
    fn wait(&self, began: Instant) -> MutexGuard<'_, State> {
        let (mut state, mut said) = (self.state(), 0);
        loop {
            if state.playing.iter().all(Option::is_none) {
                return state;
            }
            let hanging = state
                .playing
                .iter()
                .flatten()
                .find(|(.., since)| since.elapsed() > HANGS_AFTER);
            if let Some((part, seed, _)) = hanging.copied() {
                state.fail(part, seed, format!("hangs: no end after {HANGS_AFTER:?}"));
                return state;
            }
            if state.cases.round > said {
                said = state.cases.round;
                println!(
                    "round {said} begins after {:.1} min",
                    began.elapsed().as_secs_f64() / 60.0
                );
            }
            let waited = self.done.wait_timeout(state, Duration::from_secs(1));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl State {
    fn note(&mut self, part: usize, case: Case, took: Duration, failure: Option<String>) {
        let tried = &mut self.parts[part];
        tried.cases += 1;
        tried.took += took;
        case.counts
            .iter()
            .for_each(|(what, number)| add(&mut tried.counts, what, *number));
        tried.notes.extend(case.notes);
        if let Some(failure) = failure {
            self.fail(part, case.seed, failure);
        }
    }

    fn fail(&mut self, part: usize, seed: u64, failure: String) {
        // A part that is played once says of each of its cases what came of it.
        if let Size::Round(_) = self.parts[part].size {
            self.cases.leave_out(part);
        }
        let tried = &mut self.parts[part];
        tried.failures.push((seed, failure));
        super::summary::print_failure(tried);
    }
}

fn text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("a panic: {}", text.unwrap_or("without a text"))
}
