use std::num::NonZeroU64;
use std::time::Duration;

use super::{Per, Unanswered};

fn per(frames: u64) -> Unanswered {
    Unanswered::new(Per::Frames(NonZeroU64::new(frames).expect("not zero")))
}

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Writes frames of ten bytes each.
fn write(unanswered: &mut Unanswered, numbers: std::ops::RangeInclusive<u64>, now: Duration) {
    for number in numbers {
        unanswered.wrote(number * 10, now);
    }
}

#[test]
fn the_kth_answer_is_about_the_kth_frame() {
    let mut unanswered = per(1);
    write(&mut unanswered, 1..=3, at(0));
    assert_eq!((unanswered.answered_bytes(), unanswered.asked_bytes()), (0, 10));
    assert!(unanswered.answered(at(0)).is_some() && unanswered.answered(at(0)).is_some());
    assert_eq!((unanswered.answered_bytes(), unanswered.asked_bytes()), (20, 30));
    assert_eq!(unanswered.frames(), 1);
}

#[test]
fn an_answer_nobody_asked_for_is_told() {
    let mut unanswered = per(2);
    assert!(unanswered.answered(at(0)).is_none());
    write(&mut unanswered, 1..=1, at(0));
    assert!(unanswered.answered(at(0)).is_none(), "the group is not whole");
    assert_eq!((unanswered.answered_bytes(), unanswered.asked_bytes()), (0, 0));
}

#[test]
fn no_more_frames_are_written_than_the_window_has() {
    let mut unanswered = per(1);
    write(&mut unanswered, 1..=3, at(0));
    assert_eq!(unanswered.room(3), 0);
    unanswered.answered(at(0));
    assert_eq!(unanswered.room(3), 1);
}

#[test]
fn one_answer_frees_its_whole_group() {
    let mut unanswered = per(4);
    write(&mut unanswered, 1..=10, at(0));
    assert_eq!(unanswered.room(10), 0);
    unanswered.answered(at(0));
    assert_eq!((unanswered.room(10), unanswered.answered_bytes()), (4, 40));
    unanswered.answered(at(0));
    assert!(unanswered.answered(at(0)).is_none(), "two frames are no group");
    assert_eq!(unanswered.frames(), 2);
}

#[test]
fn one_batch_is_under_way_at_a_time() {
    let mut unanswered = Unanswered::new(Per::Batch);
    unanswered.batch_ended(at(0));
    assert!(
        unanswered.answered(at(0)).is_none(),
        "a batch of which nothing was written"
    );
    write(&mut unanswered, 1..=7, at(0));
    assert_eq!(unanswered.room(1), u64::MAX, "all of a batch");
    unanswered.batch_ended(at(0));
    assert_eq!((unanswered.room(1), unanswered.asked_bytes()), (0, 70));
    unanswered.answered(at(0));
    assert_eq!((unanswered.room(1), unanswered.answered_bytes()), (u64::MAX, 70));
}

#[test]
fn the_time_runs_from_the_last_answer_and_only_while_one_is_due() {
    let mut unanswered = per(2);
    write(&mut unanswered, 1..=1, at(1));
    assert_eq!(unanswered.overdue_at(at(30)), None, "no group is whole");
    write(&mut unanswered, 2..=2, at(2));
    write(&mut unanswered, 3..=4, at(3));
    assert_eq!(unanswered.overdue_at(at(30)), Some(at(32)));
    unanswered.answered(at(20));
    assert_eq!(unanswered.overdue_at(at(30)), Some(at(50)));
    unanswered.answered(at(21));
    assert_eq!(unanswered.overdue_at(at(30)), None);
}
