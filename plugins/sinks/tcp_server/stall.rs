//! A client that takes nothing: for how long, and when that is too long.

use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// Watches whether one client takes something while something waits for it.
#[derive(Debug)]
pub(super) struct Stall {
    limit: Option<Duration>,
    /// Bytes that it had taken when it last took some.
    taken: u64,
    /// When that was, or when something began to wait; none while nothing waits.
    since: Option<Instant>,
}

impl Stall {
    /// Of a client that may take nothing for `limit`; none: as long as it likes.
    pub(super) fn new(limit: Option<Duration>) -> Self {
        Self {
            limit,
            taken: 0,
            since: None,
        }
    }

    /// How often to look, so that it is noticed no later than an eighth of the limit; none: never.
    pub(super) fn look_every(&self) -> Option<Duration> {
        self.limit.map(|limit| limit / 8)
    }

    /// Notes that it has taken so many bytes by now, and whether more waits for it. Returns the limit when it is passed.
    pub(super) fn look(&mut self, now: Instant, taken: u64, waits: bool) -> Option<Duration> {
        let limit = self.limit?;
        if !waits {
            self.since = None;
            return None;
        }
        if taken > self.taken || self.since.is_none() {
            (self.taken, self.since) = (taken, Some(now));
        }
        self.since
            .filter(|since| now.duration_since(*since) >= limit)
            .map(|_| limit)
    }
}
