use std::time::Duration;

use super::{Backoff, GaveUp};
use crate::config::RetryConfig;
use crate::units::Period;

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn giving_up_after(seconds: u64) -> Backoff {
    Backoff::new(RetryConfig {
        give_up_after: Some(Period::seconds(seconds)),
        ..RetryConfig::default()
    })
}

#[test]
fn waits_double_up_to_the_longest_and_jitter_makes_them_shorter() {
    let mut backoff = Backoff::new(RetryConfig::default());
    let waits: Vec<_> = (0..10).map(|_| backoff.next(0.0).as_millis()).collect();
    assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000]);
    assert_eq!(backoff.next(1.0), at(15));
    backoff.reset();
    assert_eq!(backoff.next(0.0), Duration::from_millis(100));
}

#[test]
fn nothing_is_given_up_unless_it_is_asked_for() {
    let mut backoff = Backoff::new(RetryConfig::default());
    assert_eq!(backoff.failed(0.0, at(0)).1, None);
    assert_eq!(backoff.failed(0.0, at(1_000_000)).1, None);
}

#[test]
fn past_the_limit_every_further_failure_gives_up_at_once() {
    let mut backoff = giving_up_after(600);
    assert_eq!(backoff.failed(0.0, at(100)).1, None);
    assert_eq!(backoff.failed(0.0, at(699)).1, None);
    let (attempts, lasted) = (3, at(600));
    assert_eq!(backoff.failed(0.0, at(700)).1, Some(GaveUp { attempts, lasted }));
    let (attempts, lasted) = (4, at(601));
    assert_eq!(backoff.failed(0.0, at(701)).1, Some(GaveUp { attempts, lasted }));
}

#[test]
fn a_success_begins_the_time_anew() {
    let mut backoff = giving_up_after(600);
    backoff.failed(0.0, at(0));
    assert!(backoff.failed(0.0, at(3600)).1.is_some());
    backoff.reset();
    assert_eq!(backoff.failed(0.0, at(3601)).1, None);
    assert_eq!(backoff.failed(0.0, at(4200)).1, None);
}

#[test]
fn time_in_which_nothing_was_tried_does_not_count() {
    let mut backoff = giving_up_after(600);
    backoff.waited(at(50));
    backoff.failed(0.0, at(100));
    backoff.waited(at(3600));
    assert_eq!(backoff.failed(0.0, at(3700 + 599)).1, None);
    assert!(backoff.failed(0.0, at(3700 + 600)).1.is_some());
}

#[test]
fn giving_up_reads_as_a_sentence() {
    let (attempts, lasted) = (12, Duration::from_micros(600_500_250));
    assert_eq!(
        GaveUp { attempts, lasted }.to_string(),
        "gave up after 12 attempts in 10m 500ms"
    );
    let (attempts, lasted) = (1, at(0));
    assert_eq!(GaveUp { attempts, lasted }.to_string(), "gave up after 1 attempt in 0s");
}

#[test]
fn that_the_other_side_left_makes_no_wait_longer_but_counts_as_time() {
    let mut backoff = giving_up_after(600);
    for second in 0..10 {
        assert_eq!(backoff.departed(at(second)), None);
    }
    assert!(backoff.is_failing());
    assert_eq!(backoff.attempts(), 0);
    assert_eq!(backoff.failed(0.0, at(10)).0, Duration::from_millis(100));
    let (attempts, lasted) = (12, at(600));
    assert_eq!(backoff.departed(at(600)), Some(GaveUp { attempts, lasted }));
    backoff.reset();
    assert!(!backoff.is_failing());
    assert_eq!(backoff.departed(at(601)), None);
}
