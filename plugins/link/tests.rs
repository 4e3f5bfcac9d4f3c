use std::collections::BTreeMap;

use aqueduct_framework::batch::StreamId;
use aqueduct_framework::receipt::Fate;
use aqueduct_framework::spill::Mark;

use super::*;

fn bytes(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    bytes
}

fn taken(skip: usize, token: u64) -> Taken {
    Taken::From {
        skip,
        token,
        missing: 0,
    }
}

#[test]
fn the_bytes_are_those_that_are_documented() {
    let hello = Hello {
        lowest: 1,
        highest: 2,
        stream: StreamId(0x0F0E_0D0C_0B0A_0908_0706_0504_0302_0100),
        first: 258,
    };
    let mut expected = b"\x01\x20\0\0\0AQLINK\x01\x02".to_vec();
    expected.extend(0..16);
    expected.extend([2, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bytes(&Message::Hello(hello)), expected);
    let welcome = Welcome {
        version: 1,
        sequence: 5,
        longest: 256,
    };
    assert_eq!(
        bytes(&Message::Welcome(welcome)),
        b"\x02\x0d\0\0\0\x01\x05\0\0\0\0\0\0\0\0\x01\0\0"
    );
    assert_eq!(bytes(&Message::Ack(7)), b"\x04\x08\0\0\0\x07\0\0\0\0\0\0\0");
    let mut data = Vec::new();
    assert_eq!(Message::encode_data(9, b"abc", &mut data), 11);
    assert_eq!(data, b"\x03\x0b\0\0\0\x09\0\0\0\0\0\0\0abc");
    let refused = Message::Refused {
        reason: Reason::Streams as u8,
        text: "full".to_owned(),
    };
    assert_eq!(bytes(&refused), b"\x05\x05\0\0\0\x02full");
}

#[test]
fn fields_of_later_versions_are_passed_over() {
    let mut messages = Messages::new(64);
    let welcome = Welcome {
        version: 1,
        sequence: 5,
        longest: 256,
    };
    let mut longer = bytes(&Message::Welcome(welcome));
    longer[1] += 3;
    longer.extend(b"new");
    messages.room().extend_from_slice(&longer);
    messages.room().extend_from_slice(&bytes(&Message::Ack(7)));
    assert_eq!(messages.cut(), Ok(Some(Message::Welcome(welcome))));
    assert_eq!(messages.cut(), Ok(Some(Message::Ack(7))));
    assert_eq!(messages.cut(), Ok(None));
}

#[test]
fn a_length_that_is_only_claimed_takes_no_memory() {
    let mut messages = Messages::new(1 << 30);
    messages.room().extend_from_slice(b"\x03\0\0\0\x30");
    assert_eq!(messages.cut(), Ok(None));
    assert!(messages.room().capacity() < 1 << 20);
}

#[test]
fn what_a_long_message_took_goes_with_it() {
    let (mut messages, mut sent) = (Messages::new(1 << 30), Vec::new());
    Message::encode_data(9, &[0; 10 << 20], &mut sent);
    sent.extend(bytes(&Message::Ack(7)));
    for piece in sent.chunks(100_000) {
        messages.room().extend_from_slice(piece);
    }
    assert!(matches!(messages.cut(), Ok(Some(Message::Data { .. }))));
    assert!(messages.room().capacity() < 1 << 20);
    assert_eq!(messages.cut(), Ok(Some(Message::Ack(7))));
}

#[test]
fn what_came_before_is_cut_off_in_the_middle_of_a_batch_too() {
    let mut incoming = Incoming::new(Some(100));
    let first = incoming.connected();
    assert_eq!(incoming.take(first, 50, 50), Taken::Repeated);
    assert_eq!(incoming.take(first, 90, 20), taken(10, 0));
    // The same frames in other batches, after a crash of the sender.
    let second = incoming.connected();
    assert_eq!(incoming.take(first, 110, 5), Taken::Closed);
    assert_eq!(incoming.take(second, 100, 10), Taken::Repeated);
    assert_eq!(incoming.take(second, 105, 10), taken(5, 1));
}

#[test]
fn only_what_is_settled_without_a_gap_is_acknowledged() {
    let mut incoming = Incoming::new(None);
    let connection = incoming.connected();
    for first in [0, 10, 20] {
        incoming.take(connection, first, 10);
    }
    // Refused because the store is full, before those in front of it are durable.
    assert_eq!(incoming.settled(1, Fate::Rejected), 10);
    assert_eq!((incoming.sequence(), incoming.waiting_frames()), (0, 30));
    incoming.settled(0, Fate::Delivered);
    assert_eq!((incoming.sequence(), incoming.waiting_frames()), (20, 10));
}

#[test]
fn nothing_counts_behind_a_batch_that_the_store_let_go_of() {
    let mut incoming = Incoming::new(None);
    let connection = incoming.connected();
    incoming.take(connection, 0, 10);
    incoming.take(connection, 10, 10);
    incoming.settled(0, Fate::Dropped);
    incoming.settled(1, Fate::Delivered);
    assert_eq!(incoming.sequence(), 0);
    assert_eq!(incoming.take(connection, 20, 10), Taken::Closed);
}

#[test]
fn a_gap_is_counted_in_a_stream_that_is_known() {
    let mut incoming = Incoming::new(None);
    let connection = incoming.connected();
    assert_eq!(incoming.take(connection, 1_000, 10), taken(0, 0));
    let gap = Taken::From {
        skip: 0,
        token: 1,
        missing: 5,
    };
    assert_eq!(incoming.take(connection, 1_015, 10), gap);
    assert_eq!(incoming.take(connection, u64::MAX, 2), Taken::Impossible);
}

#[test]
fn what_the_receiver_has_is_left_out_and_counts_as_sent() {
    let mut outgoing = Outgoing::new(15);
    assert_eq!(
        (outgoing.skip(0, 10), outgoing.skip(10, 10), outgoing.skip(20, 10)),
        (10, 5, 0)
    );
    outgoing.sent(0, 10);
    outgoing.sent(10, 10);
    assert_eq!(outgoing.acknowledged_frames(), 15);
    // Positions that the store has given up are between these two.
    outgoing.sent(30, 10);
    assert!(outgoing.acknowledge(25));
    assert_eq!(outgoing.acknowledged_frames(), 20);
    assert!(outgoing.acknowledge(40));
    assert_eq!((outgoing.acknowledged_frames(), outgoing.is_waiting()), (30, false));
}

#[test]
fn what_is_acknowledged_before_it_counts_as_sent_is_left_out_and_counted_then() {
    let mut outgoing = Outgoing::new(0);
    // From a connection before this one.
    assert!(outgoing.acknowledge(5));
    assert!(!outgoing.acknowledge(4));
    assert_eq!((outgoing.acknowledged_frames(), outgoing.skip(0, 10)), (0, 5));
    // The first of two messages of a batch.
    assert!(outgoing.acknowledge(8));
    outgoing.sent(0, 10);
    assert_eq!((outgoing.acknowledged_frames(), outgoing.is_waiting()), (8, true));
    assert!(outgoing.acknowledge(10));
    assert_eq!((outgoing.acknowledged_frames(), outgoing.is_waiting()), (10, false));
}

#[test]
fn the_stream_that_was_silent_for_longest_makes_room() {
    let mark = |seen_s| Mark { sequence: 0, seen_s };
    let known: BTreeMap<_, _> = [(1, 30), (2, 10), (3, 20)]
        .map(|(stream, seen_s)| (StreamId(stream), mark(seen_s)))
        .into();
    let admitted = |most, connected: &[u128]| {
        let connected = connected.to_vec();
        admit(StreamId(9), &known, most, move |stream| connected.contains(&stream.0))
    };
    assert_eq!(admitted(4, &[]), Admission::Welcome);
    assert_eq!(admitted(3, &[]), Admission::Instead(StreamId(2)));
    assert_eq!(admitted(3, &[2]), Admission::Instead(StreamId(3)));
    assert_eq!(admitted(3, &[1, 2, 3]), Admission::Full);
    assert_eq!(admit(StreamId(2), &known, 3, |_| true), Admission::Welcome);
}
