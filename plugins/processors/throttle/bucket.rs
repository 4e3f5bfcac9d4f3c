//! A token bucket that may go into debt: a pure state machine, the caller brings the clock.

use std::time::Duration;

/// Fills with `rate` tokens a second, up to `burst`.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: u64,
    burst: u64,
    /// When everything taken so far has been paid for; later than now while it is in debt.
    paid_at: Duration,
    /// What all times are shifted by, so that a bucket can begin full: it was empty one filling time ago.
    shift: Duration,
    /// Until when the last taker had to wait.
    due_at: Option<Duration>,
}

/// A timer wakes up late by as much without anybody having been quiet: what comes due meanwhile is not forfeited, or short waits would add up to
/// less than the rate.
const LATE: Duration = Duration::from_millis(3);

/// Portions per second at full speed: no finer, because each is a batch downstream.
const PORTIONS: u64 = 100;

impl Bucket {
    /// A full bucket.
    pub(super) fn new(rate: u64, burst: u64) -> Self {
        let rate = rate.max(1);
        Self {
            rate,
            burst,
            paid_at: Duration::ZERO,
            shift: time(burst, rate),
            due_at: None,
        }
    }

    /// How much should be taken at once, at `now`: what is there, or else what comes within a hundredth of a second; 1 to the burst.
    pub(super) fn portion(&self, now: Duration) -> u64 {
        let now = now.saturating_add(self.shift);
        let there = now.saturating_sub(self.paid_at.max(self.fullest(now)));
        let there = there.as_nanos() * u128::from(self.rate) / 1_000_000_000;
        let there = u64::try_from(there).unwrap_or(u64::MAX);
        there.max(self.rate / PORTIONS).clamp(1, self.burst.max(1))
    }

    /// When it was full if nothing had been taken since.
    fn fullest(&self, now: Duration) -> Duration {
        let quiet_since = self.due_at.filter(|due| now.saturating_sub(*due) <= LATE);
        quiet_since.unwrap_or(now).saturating_sub(time(self.burst, self.rate))
    }

    /// Takes `amount` tokens at once, at `now` since some fixed moment; says how long to wait until they are there.
    /// An amount above the burst passes too, after a longer wait: nothing is too large to pass at all.
    pub(super) fn take(&mut self, now: Duration, amount: u64) -> Duration {
        let now = now.saturating_add(self.shift);
        self.paid_at = (self.paid_at.max(self.fullest(now))).saturating_add(time(amount, self.rate));
        self.due_at = (self.paid_at > now).then_some(self.paid_at);
        self.paid_at.saturating_sub(now)
    }
}

fn time(tokens: u64, rate: u64) -> Duration {
    let nanos = u128::from(tokens) * 1_000_000_000 / u128::from(rate);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_burst_passes_at_once_and_then_the_rate_holds() {
        let mut bucket = Bucket::new(10, 20);
        assert_eq!(bucket.take(Duration::ZERO, 20), Duration::ZERO);
        assert_eq!(bucket.take(Duration::ZERO, 10), SECOND);
        assert_eq!(bucket.take(SECOND, 5), SECOND / 2);
    }

    #[test]
    fn a_quiet_time_fills_it_no_further_than_the_burst() {
        let mut bucket = Bucket::new(10, 20);
        assert_eq!(bucket.take(100 * SECOND, 30), SECOND);
        assert_eq!(bucket.take(101 * SECOND, 0), Duration::ZERO);
        assert_eq!(bucket.take(102 * SECOND, 20), SECOND);
    }

    #[test]
    fn an_amount_above_the_burst_waits_longer_but_passes() {
        let mut bucket = Bucket::new(1, 1);
        assert_eq!(bucket.take(Duration::ZERO, 61), 60 * SECOND);
        assert_eq!(bucket.take(60 * SECOND, 1), SECOND);
    }

    #[test]
    fn huge_amounts_and_tiny_rates_do_not_overflow() {
        let mut bucket = Bucket::new(1, u64::MAX);
        bucket.take(Duration::ZERO, u64::MAX);
        assert!(bucket.take(Duration::ZERO, u64::MAX) > SECOND);
    }

    #[test]
    fn a_portion_is_what_is_there_or_comes_soon_and_never_more_than_the_burst() {
        let mut bucket = Bucket::new(1_000, 50);
        assert_eq!(bucket.portion(Duration::ZERO), 50);
        bucket.take(Duration::ZERO, 50);
        assert_eq!(bucket.portion(Duration::ZERO), 10);
        assert_eq!(bucket.portion(SECOND / 50), 20);
        assert_eq!(bucket.portion(SECOND), 50);
        assert_eq!(Bucket::new(1_000_000, 1).portion(SECOND), 1);
        assert_eq!(Bucket::new(3, 3).portion(Duration::ZERO), 3);
    }

    #[test]
    fn a_timer_that_wakes_up_late_costs_nothing_of_the_rate() {
        let mut bucket = Bucket::new(1_000, 1);
        let (mut now, mut taken) = (Duration::ZERO, 0);
        while now < SECOND {
            let wait = bucket.take(now, 1);
            taken += 1;
            if !wait.is_zero() {
                now += wait + Duration::from_millis(1);
            }
        }
        assert!((990..=1_002).contains(&taken), "{taken}");
    }

    #[test]
    fn small_amounts_add_up_to_the_rate() {
        let mut bucket = Bucket::new(1_000_000, 1);
        let mut now = Duration::ZERO;
        for _ in 0..1_000_001 {
            now += bucket.take(now, 1);
        }
        assert_eq!(now, SECOND);
    }
}
