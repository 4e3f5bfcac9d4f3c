use super::*;

/// `a`, `b`, `c` with 10 bytes each.
fn three(resend_bytes: u64) -> Unacknowledged<char> {
    let mut ledger = Unacknowledged::new(resend_bytes);
    for what in ['a', 'b', 'c'] {
        ledger.push(what, 0..10, 10);
    }
    ledger
}

fn settled(ledger: &mut Unacknowledged<char>, total: u64) -> String {
    let mut all = String::new();
    ledger.acknowledge(total, |what| all.push(*what));
    all
}

fn taken_back(ledger: &mut Unacknowledged<char>) -> Vec<(char, u64)> {
    let again = ledger.take_back(false, 0).into_iter();
    again.map(|again| (again.what, again.done_bytes)).collect()
}

#[test]
fn what_is_acknowledged_whole_is_settled_once_and_in_order() {
    let mut ledger = three(0);
    assert_eq!(settled(&mut ledger, 9), "");
    assert_eq!(settled(&mut ledger, 20), "ab");
    assert_eq!(settled(&mut ledger, 20), "");
    assert!(ledger.is_waiting());
    assert_eq!(ledger.bytes(), 10);
    assert_eq!(settled(&mut ledger, 30), "c");
    assert!(!ledger.is_waiting());
    assert_eq!(taken_back(&mut ledger), []);
}

#[test]
fn a_total_that_falls_back_changes_nothing() {
    let mut ledger = three(0);
    assert_eq!(settled(&mut ledger, 15), "a");
    assert_eq!(settled(&mut ledger, 3), "");
    assert_eq!(taken_back(&mut ledger), [('b', 5), ('c', 0)]);
}

#[test]
fn what_is_taken_back_tells_how_much_of_it_is_done_and_counts_from_there() {
    let mut ledger = three(0);
    settled(&mut ledger, 15);
    assert_eq!(taken_back(&mut ledger), [('b', 5), ('c', 0)]);
    assert!(!ledger.is_waiting());
    ledger.push('b', 4..10, 10);
    ledger.push('c', 0..10, 10);
    assert_eq!(settled(&mut ledger, 5), "");
    assert_eq!(settled(&mut ledger, 6), "b");
    assert_eq!(settled(&mut ledger, 12), "");
    assert_eq!(taken_back(&mut ledger), [('c', 6)]);
}

#[test]
fn the_last_acknowledged_bytes_are_kept_to_be_written_again_and_settled_only_once() {
    let mut ledger = three(12);
    assert_eq!(settled(&mut ledger, 25), "ab");
    assert_eq!(taken_back(&mut ledger), [('b', 3), ('c', 0)]);
    ledger.push('b', 3..10, 10);
    ledger.push('c', 0..10, 10);
    assert_eq!(taken_back(&mut ledger), [('b', 3), ('c', 0)]);
}

#[test]
fn what_is_kept_is_let_go_of_as_more_is_acknowledged() {
    let mut ledger = Unacknowledged::new(15);
    for number in 1..=1000 {
        ledger.push('x', 0..10, 10);
        settled(&mut ledger, number * 10);
    }
    assert_eq!(taken_back(&mut ledger), [('x', 5), ('x', 0)]);
}

#[test]
fn what_takes_no_bytes_waits_for_nothing_but_its_turn() {
    let mut ledger = three(0);
    ledger.push('d', 0..0, 10);
    assert_eq!(settled(&mut ledger, 29), "ab");
    assert_eq!(settled(&mut ledger, 30), "cd");
}

#[test]
fn after_an_orderly_end_only_what_was_not_acknowledged_is_taken_back() {
    let mut ledger = three(12);
    settled(&mut ledger, 25);
    let again = Again {
        what: 'c',
        done_bytes: 5,
        refused_bytes: 0,
    };
    assert_eq!(ledger.take_back(true, 0), [again]);
}

#[test]
fn what_was_refused_is_told_of_every_batch_it_reaches_into() {
    let mut ledger = three(0);
    settled(&mut ledger, 5);
    let again = ledger.take_back(true, 14);
    let refused: Vec<_> = again.iter().map(|again| again.refused_bytes).collect();
    assert_eq!(refused, [10, 4, 0]);
    ledger.push('a', 5..10, 10);
    settled(&mut ledger, 2);
    assert_eq!(
        ledger.take_back(true, 4)[0].refused_bytes,
        9,
        "counted from its own first byte"
    );
}

#[test]
fn what_is_in_hand_is_taken_back_even_when_all_of_it_that_was_written_is_acknowledged() {
    let mut ledger = Unacknowledged::new(0);
    settled(&mut ledger, 10);
    ledger.push('a', 0..10, 10);
    assert_eq!(taken_back(&mut ledger), [('a', 10)]);
}
