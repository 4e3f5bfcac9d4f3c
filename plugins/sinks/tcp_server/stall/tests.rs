use std::time::{Duration, Instant};

use super::Stall;

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn who_takes_nothing_of_what_waits_has_the_limit_and_no_more() {
    let (mut stall, began) = (Stall::new(Some(LIMIT)), Instant::now());
    assert_eq!(stall.look(began, 0, true), None);
    assert_eq!(stall.look(began + LIMIT - Duration::from_millis(1), 0, true), None);
    assert_eq!(stall.look(began + LIMIT, 0, true), Some(LIMIT));
}

#[test]
fn a_byte_is_enough() {
    let (mut stall, began) = (Stall::new(Some(LIMIT)), Instant::now());
    stall.look(began, 0, true);
    assert_eq!(stall.look(began + LIMIT, 1, true), None);
    assert_eq!(stall.look(began + 2 * LIMIT, 1, true), Some(LIMIT));
}

#[test]
fn nobody_stalls_while_nothing_waits() {
    let (mut stall, began) = (Stall::new(Some(LIMIT)), Instant::now());
    stall.look(began, 5, true);
    assert_eq!(stall.look(began + LIMIT, 5, false), None);
    assert_eq!(stall.look(began + 2 * LIMIT, 5, true), None);
    assert_eq!(stall.look(began + 3 * LIMIT, 5, true), Some(LIMIT));
}

#[test]
fn without_a_limit_nobody_stalls() {
    let (mut stall, began) = (Stall::new(None), Instant::now());
    stall.look(began, 0, true);
    assert_eq!(stall.look(began + 100 * LIMIT, 0, true), None);
    assert_eq!(stall.look_every(), None);
}
