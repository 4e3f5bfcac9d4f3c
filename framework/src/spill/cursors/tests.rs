use super::*;
use crate::spill::testing::batch_of;

fn retention(bytes: u64) -> Retention {
    Retention {
        bytes,
        age: None,
        max_cursors: 3,
    }
}

fn cursors(floor: u64, tail: u64) -> Cursors {
    Cursors::new(retention(1_000), floor, tail, Vec::new(), 0)
}

fn recovered(name: &str, position: u64, whole: bool) -> Recovered {
    Recovered {
        name: name.into(),
        position,
        whole,
        moved_ns: None,
    }
}

/// What a read finds of these positions.
fn found(parts: &[(u64, u64)], next: u64) -> Found {
    let batches = parts.iter().map(|(start, end)| {
        let lines: Vec<String> = (*start..*end).map(|number| number.to_string()).collect();
        (*start, batch_of(*start, lines.iter().map(String::as_str)))
    });
    Found {
        batches: batches.collect(),
        next,
        unreadable: 0,
    }
}

/// A new cursor, durable.
fn opened(cursors: &mut Cursors, name: &str, newest: bool) -> u64 {
    let ticket = cursors.open(name, newest, 0).unwrap();
    while let Some(effect) = cursors.next_effect() {
        if let Effect::Make { name, .. } = effect {
            cursors.made(&name);
        }
    }
    ticket
}

fn effects(cursors: &mut Cursors) -> Vec<Effect> {
    std::iter::from_fn(|| cursors.next_effect()).collect()
}

/// Carries out all persisting there is.
fn persist(cursors: &mut Cursors) -> Vec<Effect> {
    let mut others = Vec::new();
    cursors.tick(0);
    while let Some(effect) = cursors.next_effect() {
        match effect {
            Effect::Persist(positions) => {
                cursors.persisted(&positions);
                cursors.tick(0);
            }
            other => others.push(other),
        }
    }
    others
}

fn reached(cursors: &Cursors, name: &str) -> (u64, u64, u64) {
    let one = cursors.all().find(|one| one.name == name).unwrap();
    (one.position, one.waiting_frames, one.passed_frames)
}

#[test]
fn only_what_all_have_settled_durably_is_released() {
    let mut cursors = cursors(0, 100);
    let (a, b) = (opened(&mut cursors, "a", false), opened(&mut cursors, "b", false));
    for ticket in [a, b] {
        cursors.want(ticket, 1_000);
        assert!(matches!(effects(&mut cursors)[..], [Effect::Fetch(fetch)] if fetch.from == 0 && fetch.to == 100));
        assert_eq!(cursors.fetched(ticket, &found(&[(0, 100)], 100)), Some(0));
    }
    cursors.settle(a, 100, 1);
    cursors.settle(b, 40, 1);
    assert_eq!(persist(&mut cursors), [Effect::Release(40)]);
    cursors.settle(b, 100, 1);
    cursors.tick(0);
    let persisting = effects(&mut cursors);
    assert_eq!(
        persisting,
        [Effect::Persist(vec![("b".into(), 100)])],
        "not released before it is durable"
    );
    cursors.persisted(&[("b".into(), 100)]);
    assert_eq!(effects(&mut cursors), [Effect::Release(100)]);
    assert!(cursors.all_settled());
}

#[test]
fn a_write_that_failed_releases_nothing_and_is_tried_again() {
    let mut cursors = cursors(0, 10);
    let a = opened(&mut cursors, "a", false);
    cursors.want(a, 1);
    effects(&mut cursors);
    cursors.fetched(a, &found(&[(0, 10)], 10));
    cursors.settle(a, 10, 1);
    cursors.tick(0);
    let again = [Effect::Persist(vec![("a".into(), 10)])];
    assert_eq!(effects(&mut cursors), again);
    cursors.persisted(&[]);
    assert_eq!(effects(&mut cursors), []);
    cursors.tick(0);
    assert_eq!(effects(&mut cursors), again);
}

#[test]
fn nobody_settles_what_was_not_read() {
    let mut cursors = cursors(0, 10);
    let a = opened(&mut cursors, "a", false);
    cursors.settle(a, 10, 1);
    assert_eq!(reached(&cursors, "a"), (0, 10, 0));
}

#[test]
fn a_reader_at_the_end_is_woken_by_the_next_commit() {
    let mut cursors = cursors(0, 10);
    let a = opened(&mut cursors, "a", true);
    cursors.want(a, 7);
    assert_eq!(effects(&mut cursors), []);
    cursors.committed(12);
    let fetch = Fetch {
        ticket: a,
        from: 10,
        to: 12,
        bytes: 7,
    };
    assert_eq!(effects(&mut cursors), [Effect::Fetch(fetch)]);
    assert_eq!(effects(&mut cursors), [], "one at a time");
}

#[test]
fn a_cursor_that_is_away_is_moved_past_what_retention_deletes() {
    let mut cursors = cursors(0, 100);
    let a = opened(&mut cursors, "a", false);
    cursors.close(a, 5);
    cursors.takes(1_001, false);
    assert_eq!(effects(&mut cursors), [Effect::DropOldest { to: 100 }]);
    cursors.dropped(Some(0..60));
    cursors.takes(900, false);
    assert_eq!(reached(&cursors, "a"), (60, 40, 60));
    assert_eq!(persist(&mut cursors), [], "the floor is there already");
    let a = opened(&mut cursors, "a", false);
    cursors.want(a, 1);
    assert!(matches!(effects(&mut cursors)[..], [Effect::Fetch(fetch)] if fetch.from == 60));
    assert_eq!(
        cursors.fetched(a, &found(&[(60, 100)], 100)),
        Some(60),
        "it is told once it reads"
    );
}

#[test]
fn what_a_reader_has_in_hand_is_lost_to_it_only_when_it_goes_without_settling() {
    for settles in [true, false] {
        let mut cursors = cursors(0, 100);
        let a = opened(&mut cursors, "a", false);
        cursors.want(a, 1);
        effects(&mut cursors);
        assert_eq!(cursors.fetched(a, &found(&[(0, 30)], 30)), Some(0));
        cursors.dropped(Some(0..60));
        assert_eq!(reached(&cursors, "a"), (0, 40, 30), "30 to 60 cannot be read any more");
        if settles {
            cursors.settle(a, 30, 1);
        }
        cursors.close(a, 1);
        let expected = if settles { 30 } else { 60 };
        assert_eq!(reached(&cursors, "a"), (60, 40, expected), "{settles}");
    }
}

#[test]
fn a_gap_that_a_fetch_under_way_finds_counts_once() {
    let mut cursors = cursors(0, 100);
    let a = opened(&mut cursors, "a", false);
    cursors.want(a, 1);
    effects(&mut cursors);
    // Dropped before the thread came to the fetch.
    cursors.dropped(Some(0..60));
    assert_eq!(cursors.fetched(a, &found(&[(60, 80)], 80)), Some(60));
    cursors.settle(a, 80, 1);
    cursors.close(a, 1);
    assert_eq!(reached(&cursors, "a"), (80, 20, 60));
}

#[test]
fn frames_that_cannot_be_read_count_for_the_cursor_and_are_told_with_the_next() {
    let mut cursors = cursors(0, 100);
    let a = opened(&mut cursors, "a", false);
    cursors.want(a, 1);
    effects(&mut cursors);
    assert_eq!(cursors.fetched(a, &found(&[], 50)), None, "nothing to tell it with");
    assert!(matches!(effects(&mut cursors)[..], [Effect::Fetch(fetch)] if fetch.from == 50));
    assert_eq!(
        cursors.fetched(a, &found(&[(50, 60), (70, 80)], 100)),
        Some(50 + 10 + 20)
    );
    assert_eq!(reached(&cursors, "a").2, 80);
}

#[test]
fn without_any_cursor_frames_are_kept_up_to_the_retention() {
    let mut cursors = cursors(0, 100);
    assert_eq!(persist(&mut cursors), []);
    cursors.takes(1_000, false);
    assert_eq!(effects(&mut cursors), []);
    cursors.takes(1_001, false);
    assert_eq!(effects(&mut cursors), [Effect::DropOldest { to: 100 }]);
    cursors.dropped(None);
    assert_eq!(effects(&mut cursors), [], "the newest segment alone stays");
    cursors.committed(120);
    assert_eq!(effects(&mut cursors), [Effect::DropOldest { to: 120 }]);
    cursors.dropped(Some(0..60));
    cursors.takes(500, false);
    let a = opened(&mut cursors, "a", false);
    assert_eq!(
        cursors.opened(a),
        Some(("a".into(), 60)),
        "it begins with the oldest there is"
    );
}

#[test]
fn what_is_found_at_the_start_is_moved_to_what_is_retained() {
    let found = vec![
        recovered("behind", 10, true),
        recovered("damaged", 0, false),
        recovered("there", 70, true),
    ];
    let mut cursors = Cursors::new(retention(1_000), 50, 100, found, 0);
    assert_eq!(reached(&cursors, "behind"), (50, 50, 40));
    assert_eq!(
        reached(&cursors, "damaged"),
        (50, 50, 0),
        "what it had settled is not known"
    );
    assert_eq!(reached(&cursors, "there"), (70, 30, 0));
    let moved = [("behind".into(), 50), ("damaged".into(), 50)];
    assert_eq!(effects(&mut cursors), [Effect::Persist(moved.to_vec())]);
}

#[test]
fn names_are_bounded_and_so_is_their_number() {
    let mut cursors = cursors(0, 0);
    for name in ["", ".", "..", ".a", "a/b", "a b", "ü", &"a".repeat(65)] {
        assert_eq!(cursors.open(name, false, 0), Err(Refused::Name), "{name:?}");
    }
    for name in ["a", "B-2_x.y", &"a".repeat(64)] {
        assert!(cursors.open(name, false, 0).is_ok());
    }
    assert_eq!(cursors.open("one-more", false, 0), Err(Refused::TooMany));
    assert!(cursors.open("a", false, 0).is_ok(), "those that are known come back");
}

#[test]
fn one_that_could_not_be_made_is_none_and_a_newer_reader_replaces_an_older() {
    let mut cursors = cursors(0, 10);
    let first = cursors.open("a", false, 0).unwrap();
    assert!(matches!(&effects(&mut cursors)[..], [Effect::Make { position: 0, .. }]));
    cursors.want(first, 1);
    assert_eq!(
        effects(&mut cursors),
        [],
        "nothing is read with what may not be durable"
    );
    assert_eq!(cursors.all().count(), 0, "nobody hears of what may never be");
    cursors.not_made("a");
    assert!(!cursors.is_open(first) && cursors.all().count() == 0);
    let older = opened(&mut cursors, "a", false);
    let newer = opened(&mut cursors, "a", false);
    cursors.settle(older, 10, 1);
    assert!(!cursors.is_open(older) && cursors.is_open(newer));
    assert_eq!(
        reached(&cursors, "a").0,
        0,
        "what a replaced reader settles does not count"
    );
}

#[test]
fn many_cursors_become_durable_in_turn() {
    let names: Vec<String> = (0..40).map(|number| format!("c{number:02}")).collect();
    let found = names.iter().map(|name| recovered(name, 0, true)).collect();
    let mut cursors = Cursors::new(retention(1_000), 0, 100, found, 0);
    cursors.dropped(Some(0..50));
    let mut persisted = Vec::new();
    for floor in 51..54 {
        let Some(Effect::Persist(positions)) = cursors.next_effect() else {
            panic!()
        };
        assert!(positions.len() <= PERSISTED_AT_ONCE);
        persisted.extend(positions.iter().map(|(name, _)| name.to_string()));
        // They move on meanwhile, and must not keep the others from their turn.
        cursors.persisted(&positions);
        cursors.dropped(Some(50..floor));
    }
    assert_eq!(persisted[..40], names);
}

#[test]
fn age_is_asked_for_once_a_second_and_again_after_each_segment() {
    let retention = Retention {
        age: Some(std::time::Duration::from_secs(60)),
        ..retention(1_000)
    };
    let mut cursors = Cursors::new(retention, 0, 100, Vec::new(), 0);
    cursors.tick(0);
    assert_eq!(effects(&mut cursors), [Effect::Expire { to: 100 }]);
    cursors.dropped(Some(0..10));
    assert_eq!(effects(&mut cursors), [Effect::Expire { to: 100 }]);
    cursors.dropped(None);
    cursors.tick(EXPIRE_NS - 1);
    assert_eq!(effects(&mut cursors), []);
    cursors.tick(EXPIRE_NS);
    assert_eq!(effects(&mut cursors), [Effect::Expire { to: 100 }]);
}
