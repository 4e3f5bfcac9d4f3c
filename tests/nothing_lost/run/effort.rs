//! How much is tried, with which seeds: what the environment says, and which case is next.

use std::str::FromStr;
use std::time::{Duration, Instant};

use aqueduct::framework::seeded::Bug;

use super::{Part, Size};

/// What the variables of the environment ask for.
#[derive(Debug, Clone)]
pub(crate) struct Effort {
    pub(crate) seed: u64,
    /// How often every part's round is played.
    rounds: u64,
    /// Instead of a part's round: exactly so many cases.
    cases: Option<u64>,
    /// Instead of a number of rounds: as many as fit.
    hours: Option<f64>,
}

impl Effort {
    /// # Errors
    /// A sentence about the variable that cannot be read.
    pub(crate) fn from_environment() -> Result<Self, String> {
        if let Ok(name) = std::env::var("AQUEDUCT_SEEDED_BUG")
            && !Bug::ALL.iter().any(|bug| format!("{bug:?}") == name)
        {
            return Err(format!(
                "AQUEDUCT_SEEDED_BUG is `{name}`, which is none of {:?}",
                Bug::ALL
            ));
        }
        Ok(Self {
            seed: variable("AQUEDUCT_SEED")?.unwrap_or(1),
            rounds: variable("AQUEDUCT_HARNESS")?.unwrap_or(1),
            cases: variable("AQUEDUCT_CASES")?,
            hours: variable("AQUEDUCT_HOURS")?,
        })
    }

    /// The cases of these parts, one after another: those there are only so many of first, then round after round.
    pub(super) fn cases(&self, parts: &[&Part]) -> Cases {
        let until = self
            .hours
            .map(|hours| Instant::now() + Duration::from_secs_f64(hours * 3600.0));
        Cases {
            effort: self.clone(),
            sizes: parts.iter().map(|part| Some(part.size)).collect(),
            until,
            round: 0,
            part: 0,
            played: 0,
            played_in_round: 0,
        }
    }
}

fn variable<T: FromStr>(name: &str) -> Result<Option<T>, String> {
    let Ok(text) = std::env::var(name) else {
        return Ok(None);
    };
    let value = text
        .parse()
        .map_err(|_| format!("{name} is `{text}`, which is no such number"))?;
    Ok(Some(value))
}

/// Which case is next.
pub(super) struct Cases {
    effort: Effort,
    /// Of each part; none of one that has failed.
    sizes: Vec<Option<Size>>,
    until: Option<Instant>,
    /// 0: the parts that are played once.
    pub(super) round: u64,
    part: usize,
    /// Of this part in this round.
    played: u64,
    played_in_round: u64,
}

impl Cases {
    /// The index of a part, and the seed of its case.
    pub(super) fn next(&mut self) -> Option<(usize, u64)> {
        loop {
            if self.is_over() {
                return None;
            }
            let Some(size) = self.sizes.get(self.part) else {
                (self.round, self.part) = (self.round + 1, 0);
                let idle = std::mem::take(&mut self.played_in_round) == 0;
                if idle && self.round > 1 {
                    return None;
                }
                continue;
            };
            let (first, cases) = match (*size, self.round) {
                (Some(Size::All(cases)), 0) => (0, cases),
                (Some(Size::Round(cases)), round @ 1..) => {
                    let cases = self.effort.cases.unwrap_or(cases);
                    (self.effort.seed.wrapping_add((round - 1).wrapping_mul(cases)), cases)
                }
                _ => (0, 0),
            };
            if self.played < cases {
                let seed = first.wrapping_add(self.played);
                self.played += 1;
                self.played_in_round += 1;
                return Some((self.part, seed));
            }
            (self.part, self.played) = (self.part + 1, 0);
        }
    }

    fn is_over(&self) -> bool {
        match self.until {
            Some(until) => self.round > 0 && Instant::now() >= until,
            None => self.round > self.effort.rounds,
        }
    }

    /// Nothing more of a part that has failed.
    pub(super) fn leave_out(&mut self, part: usize) {
        self.sizes[part] = None;
    }
}
