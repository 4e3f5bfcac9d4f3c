use super::*;

fn place(done: usize, moved_ms: u64) -> Place {
    Place {
        done: Some(done),
        moved_ms,
    }
}

#[test]
fn nobody_is_late_while_nobody_waits() {
    let all_behind = [place(10, 0), place(90, 0)];
    assert_eq!(due_ms(all_behind.into_iter(), 100, 1_000), None);
    let all_done = [place(100, 0), place(100, 7)];
    assert_eq!(due_ms(all_done.into_iter(), 100, 1_000), None);
}

#[test]
fn the_limit_runs_from_the_last_bytes_or_from_when_others_began_to_wait() {
    let waited_for = [place(100, 500), place(10, 20)];
    assert_eq!(due_ms(waited_for.into_iter(), 100, 1_000), Some(1_500));
    let took_since = [place(100, 500), place(10, 800)];
    assert_eq!(due_ms(took_since.into_iter(), 100, 1_000), Some(1_800));
    assert!(holds_up(place(10, 800), 100, 1_800, 1_000));
    assert!(!holds_up(place(10, 801), 100, 1_800, 1_000));
    assert!(!holds_up(place(100, 500), 100, 1_800, 1_000));
}

#[test]
fn who_came_in_the_middle_neither_waits_nor_is_waited_for() {
    let newcomer = Place::from_the_next(3);
    assert_eq!(slowest([place(40, 0), newcomer].into_iter()), Some(40));
    assert_eq!(slowest([newcomer].into_iter()), None);
    assert_eq!(due_ms([place(40, 0), newcomer].into_iter(), 100, 1_000), None);
}

#[test]
fn who_takes_nothing_stalls_even_when_nobody_is_ahead() {
    let alone = [place(10, 20)];
    assert_eq!(stalls_at_ms(alone.into_iter(), 100, 1_000), Some(1_020));
    assert!(holds_up(alone[0], 100, 1_020, 1_000));
    assert_eq!(stalls_at_ms([place(100, 20)].into_iter(), 100, 1_000), None);
    assert_eq!(stalls_at_ms([Place::from_the_next(3)].into_iter(), 100, 1_000), None);
}

#[test]
fn taking_nothing_is_no_move() {
    let mut place = place(10, 5);
    place.took(0, 9);
    assert_eq!(place, self::place(10, 5));
    place.took(3, 9);
    assert_eq!(place, self::place(13, 9));
    place.begin(11);
    assert_eq!(place, self::place(0, 11));
}
