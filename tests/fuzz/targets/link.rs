//! The link protocol: whatever a peer says, in pieces of any size.

use std::collections::BTreeSet;

use aqueduct::framework::receipt::Fate;
use aqueduct::framework::spill::record::decode_foreign;
use aqueduct::plugins::link::{Fault, Incoming, Message, Messages, Outgoing, Taken};

/// The longest DATA message that is taken.
const LONGEST: usize = 4_096;

/// The first byte says in pieces of how many bytes the rest comes. However it is cut, the same messages come out of it; each is written as it was read;
/// no position is handed to the store twice, and nothing counts as acknowledged that was not sent.
pub(crate) fn link(data: &[u8]) {
    let Some((piece, data)) = data.split_first() else {
        return;
    };
    let (messages, fault) = cut(data, data.len().max(1));
    assert_eq!(cut(data, usize::from(*piece).max(1)), (messages.clone(), fault));
    for message in &messages {
        let mut written = Vec::new();
        message.encode(&mut written);
        if !matches!(message, Message::Refused { .. }) {
            assert_eq!(cut(&written, written.len()), (vec![message.clone()], None));
        }
    }
    receive(&messages);
    send(&messages);
}

fn cut(data: &[u8], piece: usize) -> (Vec<Message>, Option<Fault>) {
    let (mut cutter, mut found) = (Messages::new(LONGEST), Vec::new());
    for piece in data.chunks(piece) {
        cutter.room().extend_from_slice(piece);
        loop {
            match cutter.cut() {
                Ok(Some(message)) => found.push(message),
                Ok(None) => break,
                Err(fault) => return (found, Some(fault)),
            }
        }
    }
    (found, None)
}

fn receive(messages: &[Message]) {
    let (mut incoming, mut handed) = (Incoming::new(None), BTreeSet::new());
    let mut connection = incoming.connected();
    for message in messages {
        let (position, record) = match message {
            Message::Data { position, record } => (*position, record),
            // Stands for a new connection.
            Message::Hello(_) => {
                connection = incoming.connected();
                continue;
            }
            _ => continue,
        };
        let Ok(record) = decode_foreign(position, record) else {
            return;
        };
        for (first, batch) in record.batches {
            if let Taken::From { skip, token, .. } = incoming.take(connection, first, batch.len()) {
                for index in skip..batch.len() {
                    assert!(handed.insert(first + index as u64), "{} twice", first + index as u64);
                }
                // Every other batch waits for the next.
                if token % 2 == 1 {
                    incoming.settled(token, Fate::Delivered);
                    incoming.settled(token - 1, Fate::Delivered);
                }
            }
            let durable = handed
                .iter()
                .filter(|position| **position < incoming.sequence())
                .count();
            assert!(incoming.sequence() == 0 || durable > 0);
        }
    }
}

fn send(messages: &[Message]) {
    let (mut outgoing, mut sent) = (Outgoing::new(10), 0);
    for message in messages {
        let first = 8 + sent;
        let skip = outgoing.skip(first, 3) as u64;
        assert!(skip <= 3);
        outgoing.sent(first, 3);
        sent += 3;
        if let Message::Ack(sequence) = message {
            outgoing.acknowledge(*sequence);
        }
        assert!(outgoing.acknowledged_frames() <= sent);
        assert_eq!(outgoing.is_waiting(), outgoing.acknowledged_frames() < sent);
    }
}
