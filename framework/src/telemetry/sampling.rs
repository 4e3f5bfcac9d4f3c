//! Which traces are made. Pure: whoever asks says what time it is and draws the lot.

use std::time::Duration;

/// At most so many per second: a bucket that holds one second's worth, and is full at first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bucket {
    per_second: f64,
    tokens: f64,
    at_ns: u64,
}

impl Bucket {
    /// `per_second` from 1.
    pub(super) fn new(per_second: u32) -> Self {
        Self {
            per_second: f64::from(per_second),
            tokens: f64::from(per_second),
            at_ns: 0,
        }
    }

    /// How many may be taken now, by a clock that only runs forward.
    pub(super) fn available(&mut self, now_ns: u64) -> usize {
        let passed = Duration::from_nanos(now_ns.saturating_sub(self.at_ns));
        self.at_ns = self.at_ns.max(now_ns);
        self.tokens = (self.tokens + passed.as_secs_f64() * self.per_second).min(self.per_second);
        self.tokens as usize
    }

    /// Takes what [`Bucket::available`] has offered.
    pub(super) fn spend(&mut self, count: usize) {
        self.tokens -= count as f64;
    }

    /// Takes one, if there is one.
    pub(super) fn take(&mut self, now_ns: u64) -> bool {
        let there = self.available(now_ns) > 0;
        if there {
            self.spend(1);
        }
        there
    }
}

/// The decision of the head: a share of the batches, and no more than so many per second.
#[derive(Debug, Clone)]
pub(super) struct Head {
    ratio: f64,
    bound: Option<Bucket>,
}

impl Head {
    pub(super) fn new(ratio: f64, max_per_second: Option<u32>) -> Self {
        Self {
            ratio,
            bound: max_per_second.map(Bucket::new),
        }
    }

    /// Whether the batch read at `now_ns` is traced; `lot` is drawn from 0 to below 1.
    pub(super) fn chooses(&mut self, lot: f64, now_ns: u64) -> bool {
        lot < self.ratio && self.bound.as_mut().is_none_or(|bound| bound.take(now_ns))
    }
}

/// What makes the trace of a batch that the head did not choose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Late {
    pub(super) rejected: bool,
    pub(super) retries: u32,
    pub(super) waited_ns: u64,
}

impl Late {
    /// More retries than the limit.
    pub(super) fn retried(self, retries: u32) -> bool {
        retries > self.retries
    }

    /// A longer wait than the limit.
    pub(super) fn waited(self, waited_ns: u64) -> bool {
        waited_ns > self.waited_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn taken(bucket: &mut Bucket, tries: usize, now_ns: u64) -> usize {
        (0..tries).filter(|_| bucket.take(now_ns)).count()
    }

    #[test]
    fn a_bucket_gives_one_second_s_worth_at_once_and_refills_evenly() {
        let mut bucket = Bucket::new(10);
        assert_eq!(taken(&mut bucket, 100, 50 * SECOND), 10);
        assert_eq!(taken(&mut bucket, 100, 50 * SECOND + SECOND / 2), 5);
        assert_eq!(taken(&mut bucket, 100, 50 * SECOND + SECOND / 2), 0);
        assert_eq!(
            taken(&mut bucket, 100, 90 * SECOND),
            10,
            "it holds no more than a second's worth"
        );
    }

    #[test]
    fn what_is_never_much_comes_through_however_slowly_time_passes() {
        let mut bucket = Bucket::new(10);
        let taken = (0..2_000).filter(|tick| bucket.take(tick * SECOND / 100)).count();
        // 20 s in steps of 10 ms: ten a second, and the full bucket of the beginning.
        assert!((205..=210).contains(&taken), "{taken}");
    }

    #[test]
    fn a_clock_that_is_set_back_neither_refills_nor_panics() {
        let mut bucket = Bucket::new(2);
        assert_eq!(taken(&mut bucket, 5, 9 * SECOND), 2);
        assert_eq!(taken(&mut bucket, 5, SECOND), 0);
        assert_eq!(taken(&mut bucket, 5, 9 * SECOND), 0);
        assert_eq!(taken(&mut bucket, 5, 10 * SECOND), 2);
    }

    #[test]
    fn the_head_takes_its_share_within_its_bound() {
        assert!(Head::new(1.0, None).chooses(0.999, 0));
        assert!(!Head::new(0.0, None).chooses(0.0, 0));
        let mut head = Head::new(0.5, Some(3));
        assert!(!head.chooses(0.5, SECOND));
        let chosen = (0..10).filter(|_| head.chooses(0.1, SECOND)).count();
        assert_eq!(chosen, 3);
    }

    #[test]
    fn limits_are_passed_not_reached() {
        let late = Late {
            rejected: true,
            retries: 3,
            waited_ns: 5,
        };
        assert!(!late.retried(3) && late.retried(4));
        assert!(!late.waited(5) && late.waited(6));
    }
}
