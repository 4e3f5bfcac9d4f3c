//! What the end of one connection says about the next: a proxy without a backend looks like a destination for a while.
//!
//! It accepts, reads what it cannot pass on, and closes once it has given its backend up: at once (`ssh -L`, docker-proxy,
//! nginx), after some seconds of retries (HAProxy), or after a timeout. Pure: the last connection's figures are arguments.

use std::time::Duration;

use super::super::connection::Ended;

/// Nothing is settled on a connection that is younger than so many times `settle_after`: HAProxy tries a backend that
/// refuses for 3 s, unless it is told otherwise.
const PROBATION: u32 = 4;

/// The longest wait before the first write, and the longest probation, in `settle_after`.
const LONGEST_WAIT: u32 = 10;
const LONGEST_PROBATION: u32 = 60;

/// How the next connection is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caution {
    /// It has to live for so long before anything is written on it.
    pub(super) wait: Duration,
    /// Nothing is settled before it is as old as this.
    pub(super) probation: Duration,
}

impl Caution {
    /// Before the first connection nothing is known.
    pub(super) fn new(settle_after: Duration, last: Option<Ended>) -> Self {
        let (wait, probation) = (settle_after * LONGEST_WAIT, settle_after * LONGEST_PROBATION);
        let least = settle_after * PROBATION;
        let Some(last) = last else {
            return Self {
                wait: Duration::ZERO,
                probation: least,
            };
        };
        Self {
            // Twice as long as the last one stood it: a server that closes after each message is not taken for a proxy, whose
            // end does not hang on what it gets.
            wait: if last.settled {
                Duration::ZERO
            } else {
                (last.since_first_write * 2).clamp(settle_after, wait)
            },
            // One that lived for long was no attempt in vain.
            probation: if last.age * 2 > probation {
                least
            } else {
                (last.age * 2).max(least)
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_secs(1);

    fn after(settled: bool, age: u64, since_first_write: u64) -> (u64, u64) {
        let ended = Ended {
            settled,
            age: Duration::from_secs(age),
            since_first_write: Duration::from_secs(since_first_write),
        };
        let caution = Caution::new(AFTER, Some(ended));
        (caution.wait.as_secs(), caution.probation.as_secs())
    }

    #[test]
    fn the_first_connection_waits_for_nothing() {
        let first = Caution::new(AFTER, None);
        assert_eq!((first.wait.as_secs(), first.probation.as_secs()), (0, 4));
    }

    #[test]
    fn behind_a_proxy_that_retries_for_3_s_the_next_connection_has_to_live_for_6() {
        assert_eq!(after(false, 3, 3), (6, 6));
    }

    #[test]
    fn the_wait_does_not_grow_with_a_server_that_closes_after_each_message() {
        assert_eq!(after(false, 0, 0), (1, 4));
        assert_eq!(after(false, 1, 0), (1, 4));
    }

    #[test]
    fn a_proxy_that_gives_up_after_20_s_settles_nothing_the_second_time() {
        assert_eq!(after(true, 20, 20), (0, 40));
        assert_eq!(after(false, 20, 10), (10, 40));
    }

    #[test]
    fn a_connection_that_lived_for_long_casts_no_doubt_on_the_next() {
        assert_eq!(after(true, 3_600, 3_600), (0, 4));
    }

    #[test]
    fn without_settle_after_nothing_waits() {
        let ended = Ended {
            settled: false,
            age: Duration::from_secs(3),
            since_first_write: Duration::from_secs(3),
        };
        let caution = Caution::new(Duration::ZERO, Some(ended));
        assert_eq!((caution.wait, caution.probation), (Duration::ZERO, Duration::ZERO));
    }
}
