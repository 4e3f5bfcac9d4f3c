//! Exponential backoff with jitter, as a pure state machine: the caller brings the randomness and the clock.

use std::fmt;
use std::time::Duration;

use crate::config::RetryConfig;
use crate::seeded::{self, Bug};

#[cfg(test)]
mod tests;

/// The waits of one series of failed attempts, and when it has lasted too long.
///
/// A series begins with the first failure after a success. Once it has lasted for `give_up_after`, every further failure of it is a reason to give something
/// up, at once and without a wait of its own: whoever comes next has one attempt. A success ends all that.
#[derive(Debug)]
pub struct Backoff {
    config: RetryConfig,
    attempts: u32,
    /// Times that the other side left, which are no failed attempts.
    departures: u32,
    since: Option<Duration>,
}

/// A series that has lasted for `give_up_after`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GaveUp {
    /// Attempts that failed, or that the other side broke off.
    pub attempts: u32,
    /// How long they have failed.
    pub lasted: Duration,
}

/// `gave up after 12 attempts in 10m`
impl fmt::Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lasted = Duration::from_millis(self.lasted.as_millis() as u64);
        let (attempts, plural) = (self.attempts, if self.attempts == 1 { "" } else { "s" });
        let lasted = humantime::format_duration(lasted);
        write!(f, "gave up after {attempts} attempt{plural} in {lasted}")
    }
}

impl Backoff {
    /// A series that has not failed yet.
    pub fn new(config: RetryConfig) -> Self {
        Self {
            config,
            attempts: 0,
            departures: 0,
            since: None,
        }
    }

    /// Whether a series is under way.
    pub fn is_failing(&self) -> bool {
        self.attempts > 0 || self.since.is_some()
    }

    /// Attempts that failed since the last success.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The wait after another failure. `random` is uniform in 0..1.
    pub fn next(&mut self, random: f64) -> Duration {
        let exponent = f64::from(self.attempts.min(64));
        self.attempts = self.attempts.saturating_add(1);
        let full = self.config.first.0.as_secs_f64() * self.config.multiplier.max(1.0).powf(exponent);
        let full = if seeded::has(Bug::BackoffWithoutCap) {
            full.min(1e9)
        } else {
            full.min(self.config.max.0.as_secs_f64())
        };
        let jitter = self.config.jitter.clamp(0.0, 1.0);
        Duration::from_secs_f64(full * (1.0 - jitter * random.clamp(0.0, 1.0)))
    }

    /// The same for a failure at `now`, on a clock of the caller's that never goes back, and whether to give up.
    pub fn failed(&mut self, random: f64, now: Duration) -> (Duration, Option<GaveUp>) {
        let wait = self.next(random);
        (wait, self.lasted_until(now))
    }

    /// The other side left at `now`, which comes again by itself: no wait becomes longer by it. Whether to give up: a frame that nobody stands must not come
    /// for ever.
    pub fn departed(&mut self, now: Duration) -> Option<GaveUp> {
        self.departures = self.departures.saturating_add(1);
        self.lasted_until(now)
    }

    fn lasted_until(&mut self, now: Duration) -> Option<GaveUp> {
        let lasted = now.saturating_sub(*self.since.get_or_insert(now));
        let over = self.config.give_up_after.is_some_and(|after| lasted >= after.0);
        let attempts = self.attempts.saturating_add(self.departures);
        over.then_some(GaveUp { attempts, lasted })
    }

    /// Time passed in which nothing was tried, such as waiting for a client: it does not count.
    pub fn waited(&mut self, time: Duration) {
        self.since = self.since.map(|since| since + time);
    }

    /// It worked: the next failure starts a new series.
    pub fn reset(&mut self) {
        (self.attempts, self.departures) = (0, 0);
        self.since = None;
    }
}
