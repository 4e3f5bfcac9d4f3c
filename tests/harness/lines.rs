//! The output of a program, line by line, as it comes.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use super::PATIENCE;

/// Lines that a thread collects from a pipe. Cloning shares them.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<(Mutex<Heard>, Condvar)>);

#[derive(Default)]
struct Heard {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    pub(super) fn of(pipe: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let collected = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                collected.change(|heard| heard.lines.push(line));
            }
            collected.change(|heard| heard.ended = true);
        });
        lines
    }

    /// All lines so far.
    pub(crate) fn so_far(&self) -> Vec<String> {
        self.0.0.lock().unwrap().lines.clone()
    }

    /// Whether the program has closed the pipe, as it does at its end.
    pub(crate) fn ended(&self) -> bool {
        self.0.0.lock().unwrap().ended
    }

    /// Waits for the `nth` line, counted from 1, in which all of these words stand.
    pub(crate) fn nth(&self, nth: usize, words: &[&str]) -> String {
        let found = |heard: &Heard| {
            let all = |line: &&String| words.iter().all(|word| line.contains(word));
            heard.lines.iter().filter(all).nth(nth - 1).cloned()
        };
        let line = self.wait(|heard| found(heard).map(Some).or_else(|| heard.ended.then_some(None)));
        let Some(line) = line.flatten() else {
            panic!(
                "line {nth} with {words:?} did not come; all lines:\n{}",
                self.so_far().join("\n")
            );
        };
        line
    }

    /// Waits for the first line with all of these words.
    pub(crate) fn first(&self, words: &[&str]) -> String {
        self.nth(1, words)
    }

    /// Waits until the program has closed the pipe, and returns all lines.
    pub(crate) fn to_the_end(&self) -> Vec<String> {
        let ended = self.wait(|heard| heard.ended.then_some(()));
        assert!(
            ended.is_some(),
            "the program did not end; all lines:\n{}",
            self.so_far().join("\n")
        );
        self.so_far()
    }

    fn change(&self, act: impl FnOnce(&mut Heard)) {
        act(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }

    fn wait<T>(&self, look: impl Fn(&Heard) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + PATIENCE;
        let mut heard = self.0.0.lock().unwrap();
        loop {
            if let Some(found) = look(&heard) {
                return Some(found);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            heard = self.0.1.wait_timeout(heard, left).unwrap().0;
        }
    }
}
