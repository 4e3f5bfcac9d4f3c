//! Exponential backoff with jitter, as a pure state machine: the caller brings the randomness and the clock.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Period;

/// How long to wait between attempts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetryConfig {
    /// wait before the second attempt
    pub first: Period,
    /// longest wait
    pub max: Period,
    /// each wait is this many times the one before
    #[schemars(range(min = 1.0, max = 10.0))]
    pub multiplier: f64,
    /// share of each wait that is random, 0 to 1: it keeps many clients from coming back in step
    #[schemars(range(min = 0.0, max = 1.0))]
    pub jitter: f64,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            first: Period(Duration::from_millis(100)),
            max: Period(Duration::from_secs(30)),
            multiplier: 2.0,
            jitter: 0.5,
        }
    }
}

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
        let full = full.min(self.config.max.0.as_secs_f64());
        let jitter = self.config.jitter.clamp(0.0, 1.0);
        Duration::from_secs_f64(full * (1.0 - jitter * random.clamp(0.0, 1.0)))
    }

    /// It worked: the next failure starts a new series.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}
