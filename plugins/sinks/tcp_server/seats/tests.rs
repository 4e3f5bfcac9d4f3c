use futures_util::FutureExt;

use super::*;

#[test]
fn the_newest_is_served_once_those_before_have_left() {
    let seats = Seats::new(1);
    let first = seats.claim("a").expect("a place");
    let sits = first.turn().now_or_never().expect("it is free");
    assert!(first.superseded().now_or_never().is_none());
    let second = seats.claim("a").expect("its own place");
    let third = seats.claim("a").expect("its own place");
    assert!(first.superseded().now_or_never().is_some());
    assert!(second.superseded().now_or_never().is_some());
    assert!(third.superseded().now_or_never().is_none());
    assert!(third.turn().now_or_never().is_none());
    drop(sits);
    assert!(third.turn().now_or_never().is_some());
}

#[test]
fn a_place_is_free_for_others_once_all_of_its_name_have_left() {
    let seats = Seats::new(1);
    let (first, second) = (seats.claim("a").expect("a place"), seats.claim("a").expect("its own"));
    assert!(seats.claim("b").is_none());
    drop(first);
    assert!(seats.claim("b").is_none());
    drop(second);
    assert!(seats.claim("b").is_some());
}

#[test]
fn who_waits_is_told_of_the_next() {
    let seats = Seats::new(1);
    let first = seats.claim("a").expect("a place");
    let mut told = Box::pin(first.superseded());
    assert!(told.as_mut().now_or_never().is_none());
    let _second = seats.claim("a").expect("its own");
    assert!(told.as_mut().now_or_never().is_some());
}
