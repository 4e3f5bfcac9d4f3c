//! The messages, and how a stream of bytes is cut into them.

use std::fmt;

use aqueduct_framework::batch::StreamId;
use bytes::{Buf, BufMut, Bytes, BytesMut};

const MAGIC: &[u8; 6] = b"AQLINK";
const HEAD_BYTES: usize = 5;
const HELLO_BYTES: usize = 32;
const WELCOME_BYTES: usize = 13;
const ACK_BYTES: usize = 8;
/// The longest body of any message but DATA.
const SHORT_BYTES: usize = 1024;
/// What stands before the record in the body of DATA.
const POSITION_BYTES: usize = 8;
/// Room made for a message at once: a length that a peer only claims takes no memory.
const STEP_BYTES: usize = 256 * 1024;

/// The first word of the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hello {
    /// The lowest version it speaks.
    pub lowest: u8,
    /// The highest version it speaks.
    pub highest: u8,
    /// What its store calls its positions.
    pub stream: StreamId,
    /// The position of the first frame that it still has.
    pub first: u64,
}

/// The receiver's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Welcome {
    /// The version of what follows.
    pub version: u8,
    /// Frames below it are durable at the receiver.
    pub sequence: u64,
    /// The longest body of a DATA message that it takes.
    pub longest: u32,
}

/// Why a peer is sent away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// There is no version that both speak.
    Version = 1,
    /// `max_streams` are connected.
    Streams = 2,
    /// What came makes no sense.
    Garbage = 3,
    /// A message is longer than `max_message_bytes`, or all that have not come whole hold more than `partial_bytes`.
    TooLong = 4,
    /// The pipeline ends.
    Ending = 5,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The sender introduces itself.
    Hello(Hello),
    /// The receiver is ready.
    Welcome(Welcome),
    /// Frames.
    Data {
        /// The position of the first.
        position: u64,
        /// As in a spill store.
        record: Bytes,
    },
    /// Frames below it are durable at the receiver.
    Ack(u64),
    /// The receiver sends the sender away.
    Refused {
        /// A [`Reason`], or one of a later version.
        reason: u8,
        /// The same for people.
        text: String,
    },
}

/// Bytes that are no messages of this protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// No message has this type.
    Type(u8),
    /// The body of a message of this type has a length that none has.
    Length(u8, usize),
    /// A DATA message is longer than is taken.
    TooLong(usize),
    /// It does not begin as a link does.
    NoLink,
    /// It came where it must not come.
    Unexpected,
    /// Its record is not as it was written, for this reason.
    Record(String),
}

impl Fault {
    /// What its peer is told.
    pub fn reason(&self) -> Reason {
        match self {
            Self::TooLong(_) => Reason::TooLong,
            _ => Reason::Garbage,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type(kind) => write!(f, "a link has no message of type {kind}"),
            Self::Length(kind, bytes) => write!(f, "a message of type {kind} has no {bytes} bytes"),
            Self::TooLong(bytes) => write!(
                f,
                "a message has {bytes} bytes, more than `max_message_bytes`; raise it"
            ),
            Self::NoLink => f.write_str("it does not begin as a sink `link` does"),
            Self::Unexpected => f.write_str("a message came where it must not come"),
            Self::Record(why) => write!(f, "the frames in a message cannot be read: {why}"),
        }
    }
}

impl Message {
    /// Appends the message's bytes.
    pub fn encode(&self, into: &mut Vec<u8>) {
        match self {
            Self::Hello(hello) => {
                head(into, 1, HELLO_BYTES);
                into.extend_from_slice(MAGIC);
                into.extend_from_slice(&[hello.lowest, hello.highest]);
                into.put_u128_le(hello.stream.0);
                into.put_u64_le(hello.first);
            }
            Self::Welcome(welcome) => {
                head(into, 2, WELCOME_BYTES);
                into.put_u8(welcome.version);
                into.put_u64_le(welcome.sequence);
                into.put_u32_le(welcome.longest);
            }
            Self::Data { position, record } => {
                Self::encode_data(*position, record, into);
            }
            Self::Ack(sequence) => {
                head(into, 4, ACK_BYTES);
                into.put_u64_le(*sequence);
            }
            Self::Refused { reason, text } => {
                let text = &text.as_bytes()[..text.floor_char_boundary(SHORT_BYTES - 1)];
                head(into, 5, 1 + text.len());
                into.put_u8(*reason);
                into.extend_from_slice(text);
            }
        }
    }

    /// [`Message::Data`] of a record that is not owned; returns the length of its body.
    pub fn encode_data(position: u64, record: &[u8], into: &mut Vec<u8>) -> usize {
        let bytes = POSITION_BYTES + record.len();
        head(into, 3, bytes);
        into.put_u64_le(position);
        into.extend_from_slice(record);
        bytes
    }

    fn decode(kind: u8, mut body: Bytes) -> Result<Self, Fault> {
        Ok(match kind {
            1 => {
                if !body.starts_with(MAGIC) {
                    return Err(Fault::NoLink);
                }
                body.advance(MAGIC.len());
                Self::Hello(Hello {
                    lowest: body.get_u8(),
                    highest: body.get_u8(),
                    stream: StreamId(body.get_u128_le()),
                    first: body.get_u64_le(),
                })
            }
            2 => Self::Welcome(Welcome {
                version: body.get_u8(),
                sequence: body.get_u64_le(),
                longest: body.get_u32_le(),
            }),
            3 => Self::Data {
                position: body.get_u64_le(),
                record: body,
            },
            4 => Self::Ack(body.get_u64_le()),
            _ => Self::Refused {
                reason: body.get_u8(),
                text: String::from_utf8_lossy(&body).into_owned(),
            },
        })
    }
}

/// A body this long always fits: the longest record is a GiB.
fn head(into: &mut Vec<u8>, kind: u8, bytes: usize) {
    into.put_u8(kind);
    into.put_u32_le(u32::try_from(bytes).unwrap_or(u32::MAX));
}

/// Cuts the bytes of one direction of a connection into messages.
#[derive(Debug)]
pub struct Messages {
    bytes: BytesMut,
    longest: usize,
}

impl Messages {
    /// Takes DATA messages whose body has at most `longest` bytes.
    pub fn new(longest: usize) -> Self {
        Self {
            bytes: BytesMut::new(),
            longest,
        }
    }

    /// Where the next bytes go: at least one byte of room, and no more than the message that has begun needs and 256 KiB.
    pub fn room(&mut self) -> &mut BytesMut {
        let needed = match self.head() {
            Ok(Some((_, length))) => (HEAD_BYTES + length).saturating_sub(self.bytes.len()),
            _ => 0,
        };
        if self.bytes.capacity() - self.bytes.len() < needed.clamp(HEAD_BYTES, STEP_BYTES) {
            self.bytes.reserve(STEP_BYTES);
        }
        &mut self.bytes
    }

    /// Bytes of a message that has not come whole.
    pub fn partial_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The next message; none before it has come whole.
    ///
    /// # Errors
    /// When these are no messages. There is no way to go on then.
    pub fn cut(&mut self) -> Result<Option<Message>, Fault> {
        let Some((kind, length)) = self.head()? else {
            return Ok(None);
        };
        if self.bytes.len() < HEAD_BYTES + length {
            return Ok(None);
        }
        self.bytes.advance(HEAD_BYTES);
        let body = self.bytes.split_to(length).freeze();
        if length > STEP_BYTES {
            // What stands behind it would keep its memory.
            self.bytes = BytesMut::from(&self.bytes[..]);
        }
        Message::decode(kind, body).map(Some)
    }

    /// Type and length of the message that comes next.
    fn head(&self) -> Result<Option<(u8, usize)>, Fault> {
        // Told at the first byte: somebody who speaks another protocol may wait for an answer.
        let Some(kind) = self.bytes.first().copied() else {
            return Ok(None);
        };
        if !(1..=5).contains(&kind) {
            return Err(Fault::Type(kind));
        }
        let Some(length) = self.bytes[1..].first_chunk() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*length) as usize;
        let fits = match kind {
            1 => HELLO_BYTES..=SHORT_BYTES,
            2 => WELCOME_BYTES..=SHORT_BYTES,
            3 if length > self.longest => return Err(Fault::TooLong(length)),
            3 => POSITION_BYTES + 1..=self.longest,
            4 => ACK_BYTES..=ACK_BYTES,
            _ => 1..=SHORT_BYTES,
        };
        if !fits.contains(&length) {
            return Err(Fault::Length(kind, length));
        }
        Ok(Some((kind, length)))
    }
}
