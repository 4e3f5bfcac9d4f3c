//! The other side of a link, for tests: without a store, on blocking sockets.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::Range;

use aqueduct_framework::batch::{Batch, StreamId};
use aqueduct_framework::spill::record::{Packer, decode_foreign};

use super::{Hello, Message, Messages, VERSION, Welcome};
use crate::testing::reset;

const LONGEST: usize = 1 << 20;

/// A side of a link.
pub(crate) struct Peer {
    stream: TcpStream,
    messages: Messages,
}

impl Peer {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            messages: Messages::new(LONGEST),
        }
    }

    /// Introduces itself as a sender of this stream, and returns how far the receiver has it.
    pub(crate) fn link(&mut self, stream: u128) -> u64 {
        self.say(&Message::Hello(Hello {
            lowest: VERSION,
            highest: VERSION,
            stream: StreamId(stream),
            first: 0,
        }));
        match self.hear() {
            Some(Message::Welcome(welcome)) => welcome.sequence,
            other => panic!("no welcome: {other:?}"),
        }
    }

    /// Sends a batch that stands at this position.
    pub(crate) fn send(&mut self, position: u64, batch: &Batch) {
        let mut packer = Packer::default();
        let mut bytes = Vec::new();
        let mut emit = |key: u64, record: &[u8]| {
            Message::encode_data(key, record, &mut bytes);
            Ok::<(), std::convert::Infallible>(())
        };
        let packed = packer
            .push(position, batch, &mut emit)
            .and_then(|()| packer.flush(&mut emit));
        packed.expect("it is only kept");
        // The other side may have had enough.
        let _ = self.stream.write_all(&bytes);
    }

    /// Sends the beginning of a message of 50 MiB.
    pub(crate) fn begin(&mut self, bytes: usize) {
        let mut message = vec![0; bytes];
        message[..5].copy_from_slice(&[3, 0, 0, 0x20, 3]);
        // The other side may have had enough.
        let _ = self.stream.write_all(&message);
    }

    /// As a receiver that has the frames below `sequence`: welcomes the sender, and returns what it said.
    pub(crate) fn welcome(&mut self, sequence: u64) -> Hello {
        match self.hear() {
            Some(Message::Hello(hello)) => {
                self.say_welcome(sequence);
                hello
            }
            other => panic!("no hello: {other:?}"),
        }
    }

    /// As a receiver: the positions of the frames of the next message.
    pub(crate) fn take(&mut self) -> Range<u64> {
        match self.hear() {
            Some(Message::Data { position, record }) => {
                let record = decode_foreign(position, &record).expect("a record");
                position..record.end()
            }
            other => panic!("no frames: {other:?}"),
        }
    }

    /// As a receiver: has the frames below `sequence`.
    pub(crate) fn acknowledge(&mut self, sequence: u64) {
        self.say(&Message::Ack(sequence));
    }

    /// As a receiver: acknowledges everything until the sender leaves, and returns the frames with newlines.
    pub(crate) fn receive(mut self) -> Vec<u8> {
        let mut frames = Vec::new();
        while let Some(message) = self.hear() {
            match message {
                Message::Hello(_) => self.say_welcome(0),
                Message::Data { position, record } => {
                    let record = decode_foreign(position, &record).expect("a record");
                    for frame in record.batches.iter().flat_map(|(_, batch)| batch.frames()) {
                        frames.extend_from_slice(frame.bytes());
                        frames.push(b'\n');
                    }
                    self.acknowledge(record.end());
                }
                other => panic!("no sender says that: {other:?}"),
            }
        }
        frames
    }

    /// Breaks the connection off.
    pub(crate) fn reset(self) {
        reset(self.stream);
    }

    /// The next message; none at the end.
    pub(crate) fn hear(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.messages.cut().expect("messages of a link") {
                return Some(message);
            }
            let mut bytes = [0; 64 * 1024];
            match self.stream.read(&mut bytes) {
                Ok(read) if read > 0 => self.messages.room().extend_from_slice(&bytes[..read]),
                _ => return None,
            }
        }
    }

    fn say_welcome(&mut self, sequence: u64) {
        self.say(&Message::Welcome(Welcome {
            version: VERSION,
            sequence,
            longest: LONGEST as u32,
        }));
    }

    fn say(&mut self, message: &Message) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        // The other side may have gone; then it hears nothing.
        let _ = self.stream.write_all(&bytes);
    }
}
