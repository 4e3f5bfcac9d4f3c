//! Exponential backoff with jitter, as a pure state machine: the caller brings the randomness and the clock.

use std::time::Duration;

use crate::config::RetryConfig;
use crate::seeded::{self, Bug};

/// The waits of one series of failed attempts.
#[derive(Debug)]
pub struct Backoff {
    config: RetryConfig,
    attempts: u32,
}

impl Backoff {
    /// A series that has not failed yet.
    pub fn new(config: RetryConfig) -> Self {
        Self { config, attempts: 0 }
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

    /// It worked: the next failure starts a new series.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}
