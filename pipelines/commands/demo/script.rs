//! How long everything takes and how fast everything is.

use std::time::Duration;

/// Rates are in bytes per second.
#[derive(Debug, Clone)]
pub(super) struct Script {
    /// What the server pushes, in every act.
    pub(super) rate: f64,
    /// Bytes the naive reader takes at once.
    pub(super) naive_read_bytes: usize,
    /// How long it then works.
    pub(super) naive_work: Duration,
    /// Act 2: how long the destination keeps up.
    pub(super) healthy: Duration,
    /// Act 2: how long it then reads nothing.
    pub(super) stall: Duration,
    /// Act 3: what the slow destination takes.
    pub(super) slow_rate: f64,
    /// Act 3: how long it is slow.
    pub(super) slow: Duration,
    /// Act 3: how long it is away.
    pub(super) away: Duration,
    /// Act 3: what it takes when it is back.
    pub(super) back_rate: f64,
    /// Act 3: how long the server pushes.
    pub(super) push: Duration,
    /// Time to read what was said.
    pub(super) pause: Duration,
    /// The longest wait for anything that should happen by itself.
    pub(super) patience: Duration,
}

impl Script {
    /// For people: about 40 s.
    pub(super) fn full() -> Self {
        Self {
            rate: 10e6,
            naive_read_bytes: 13,
            naive_work: Duration::from_millis(500),
            healthy: Duration::from_secs(3),
            stall: Duration::from_secs(3),
            slow_rate: 2e6,
            slow: Duration::from_secs(6),
            away: Duration::from_secs(8),
            back_rate: 40e6,
            push: Duration::from_secs(24),
            pause: Duration::from_millis(1500),
            patience: Duration::from_secs(20),
        }
    }

    /// For tests: about 10 s.
    pub(super) fn quick() -> Self {
        Self {
            healthy: Duration::from_millis(500),
            stall: Duration::from_millis(2000),
            slow: Duration::from_millis(1500),
            away: Duration::from_millis(1500),
            push: Duration::from_secs(5),
            pause: Duration::ZERO,
            ..Self::full()
        }
    }

    /// About what the store holds, in bytes, when the destination comes back.
    pub(super) fn expected_backlog(&self) -> f64 {
        let absent = (self.slow + self.away).as_secs_f64();
        self.rate * absent - self.slow_rate * self.slow.as_secs_f64()
    }
}
