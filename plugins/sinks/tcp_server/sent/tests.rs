use super::*;

fn sent() -> Sent {
    let mut sent = Sent::default();
    sent.push(100, &Arc::new(vec![10, 20, 30]));
    // Behind three frames that the client was moved past.
    sent.push(106, &Arc::new(vec![5, 9]));
    sent
}

#[test]
fn only_whole_frames_are_with_the_client() {
    let mut sent = sent();
    assert_eq!(sent.settled(0), None);
    assert_eq!(sent.settled(9), None);
    assert_eq!(sent.settled(10), Some(101));
    assert_eq!(sent.settled(29), Some(102));
    assert_eq!(sent.settled(34), Some(103));
    assert!(sent.is_waiting());
    assert_eq!(sent.settled(38), Some(107));
    assert_eq!(sent.settled(39), Some(108));
    assert!(!sent.is_waiting());
    assert_eq!(sent.settled(39), None);
}

#[test]
fn several_batches_at_once_are_settled_to_the_last() {
    assert_eq!(sent().settled(39), Some(108));
    assert_eq!(sent().settled(36), Some(107));
}

#[test]
fn a_batch_goes_on_behind_those_that_are_with_the_client() {
    let mut sent = sent();
    assert_eq!(sent.settled(39), Some(108));
    sent.push(108, &Arc::new(vec![7]));
    assert_eq!(sent.settled(45), None);
    assert_eq!(sent.settled(46), Some(109));
}

#[test]
fn frames_without_wire_bytes_go_with_those_around_them() {
    let mut sent = Sent::default();
    sent.push(0, &Arc::new(vec![0, 4, 4]));
    assert_eq!(sent.settled(0), Some(1));
    assert_eq!(sent.settled(4), Some(3));
    sent.push(3, &Arc::new(vec![0]));
    assert_eq!(sent.settled(4), Some(4));
    assert!(!sent.is_waiting());
}
