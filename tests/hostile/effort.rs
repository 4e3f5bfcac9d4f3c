//! How much each part of the harness tries, with which seeds, and how it says what it found.

use std::fmt::Display;
use std::io::Write;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// The parts that share `AQUEDUCT_HOURS`, one after another.
const PARTS: u32 = 6;

/// The cases of one part.
pub(crate) struct Effort {
    /// The test's path, which selects it on the command line.
    part: &'static str,
    seed: u64,
    cases: u64,
    tried: u64,
    until: Option<Instant>,
    began: Instant,
}

impl Effort {
    /// A part that tries `cases` cases in CI.
    pub(crate) fn new(part: &'static str, cases: u64) -> Self {
        let share = |hours: f64| Duration::from_secs_f64(hours * 3600.0) / PARTS;
        let until = variable("AQUEDUCT_HOURS").map(|hours| Instant::now() + share(hours));
        Self {
            part,
            seed: variable("AQUEDUCT_SEED").unwrap_or(1),
            cases: variable("AQUEDUCT_CASES").unwrap_or(cases * variable("AQUEDUCT_HARNESS").unwrap_or(1)),
            tried: 0,
            until,
            began: Instant::now(),
        }
    }

    /// The next case's seed.
    pub(crate) fn next(&mut self) -> Option<Case> {
        let over = match self.until {
            Some(until) => Instant::now() >= until && self.tried > 0,
            None => self.tried >= self.cases,
        };
        (!over).then(|| {
            self.tried += 1;
            Case {
                part: self.part,
                seed: self.seed.wrapping_add(self.tried - 1),
            }
        })
    }

    /// Says what the part found, beside the number of its cases.
    pub(crate) fn done(self, found: impl Display) {
        say(&format!(
            "{}: {} cases from seed {} in {:.1} s: {found}",
            self.part,
            self.tried,
            self.seed,
            self.began.elapsed().as_secs_f64()
        ));
    }
}

/// A case under way: should it fail, it says how to play it again.
pub(crate) struct Case {
    part: &'static str,
    pub(crate) seed: u64,
}

impl Case {
    pub(crate) fn random(&self) -> fastrand::Rng {
        // Consecutive seeds of this generator begin with related numbers.
        fastrand::Rng::with_seed(self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        if std::thread::panicking() {
            say(&format!(
                "{} failed; play it again with: AQUEDUCT_SEED={} AQUEDUCT_CASES=1 cargo test --features seeded-bugs --test hostile -- --exact {}",
                self.part, self.seed, self.part
            ));
        }
    }
}

/// Says something even when the test passes, which `println` in a test does not.
pub(crate) fn say(line: &str) {
    // Nobody reads it: nothing to do about that.
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn variable<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    let value = text.parse().ok();
    assert!(value.is_some(), "{name} is `{text}`, which is no number");
    value
}
