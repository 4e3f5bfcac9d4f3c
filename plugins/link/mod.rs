//! The link protocol: what the sink `link` and the source `link` say to each other, so that frames come exactly once from one store into another.
//!
//! The sending Aqueduct dials; the receiving one listens. Both stand next to a spill store with `persist = "always"`, and count by the **positions** of the sending
//! one: frame `n` of a store has the number `n` for ever, also when it is read again after a crash, in batches of another size. The **sequence** of a stream is the
//! position behind its last frame.
//!
//! ```text
//!  store A ----> sink link ====== TCP ======> source link ----> store B
//!  cursor           |  HELLO stream, first ------------>|        frames and how far the stream is,
//!    ^              |<----------- WELCOME sequence      |        committed in one transaction
//!    |              |  DATA position, frames ---------->|            |
//!    |              |  DATA ...             ----------->|            |
//!    '---- settled -|<----------- ACK sequence          |<-- committed
//! ```
//! - The receiver acknowledges what is durable in its store, cumulatively, and at least every 5 s, so that the sender hears that it lives.
//! - After any break, on either side, WELCOME says from where to go on. What comes again all the same (the sender's cursor may lag after a crash) is
//!   known by its position, and cut off, in the middle of a batch too.
//! - So nothing is lost: A keeps what was not acknowledged. Nothing comes twice: B knows what it has, from the same transaction. Exceptions are counted: frames that `when_full` drops
//!   in either store, frames set aside as damaged, a stream that the receiver had to forget (`max_streams`), a store that lost its end and so takes a new stream id.
//!
//! # Bytes
//! All numbers are little endian. Every message begins with its type and the length of its body in bytes:
//!
//! ```text
//!         0      1               5
//!         | type | length u32    | body ...
//!
//! HELLO      1   | "AQLINK" | lowest u8 | highest u8 | stream, 16 bytes | first u64 |          32 bytes or more, 1,024 at most
//! WELCOME    2   | version u8 | sequence u64 | longest u32 |                                   13 bytes or more, 1,024 at most
//! DATA       3   | position u64 | record ... |                                                 `longest` at most
//! ACK        4   | sequence u64 |                                                               8 bytes
//! REFUSED    5   | reason u8 | text, UTF-8 |                                                    1 to 1,024 bytes
//! ```
//! | message | field | meaning |
//! |---|---|---|
//! | HELLO | lowest, highest | the protocol versions the sender speaks; this program speaks 1 |
//! | | stream | what the sending store calls its positions: 128 random bits |
//! | | first | the position of the first frame that the sender still has, as far as it knows: for the receiver's log |
//! | WELCOME | version | the highest that both speak; all that follows is in it |
//! | | sequence | frames below it are durable at the receiver; 0 when it does not know the stream |
//! | | longest | the longest body of a DATA message that the receiver takes |
//! | DATA | position | that of the first frame in the record |
//! | | record | the frames as a spill store writes them: numbers, attributes, trace, CRC32C; see [`record`](aqueduct_framework::spill::record). Its key is `position` |
//! | ACK | sequence | frames below it are durable at the receiver, or were dropped there by `when_full` and counted; also such as came on a connection before this one |
//! | REFUSED | reason | 1 no version in common; 2 too many streams; 3 this is no link, or its bytes make no sense; 4 a message too long, or too many long ones at once; 5 the pipeline ends |
//! | | text | the same for people, with what to do |
//!
//! The sender speaks first, with HELLO; the receiver answers WELCOME or REFUSED. Then DATA flows down, in ascending positions (there may be gaps: positions that
//! the sending store has given up), and ACK up, neither waiting for the other. Who says REFUSED closes. Bytes behind the fields of HELLO and WELCOME belong to later versions and are passed over.
//! A second connection with the stream of a first one replaces it: the first is one that its sender has given up.
//!
//! There is no encryption and no password: both sides must be on a network they trust, or in a tunnel.
//!
//! What decides is here, without sockets or clock: [`Messages`] cuts the bytes, [`Outgoing`] is the sender's side of a connection, [`Incoming`] the receiver's side of
//! a stream.

mod incoming;
mod message;
mod outgoing;
mod streams;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use incoming::{Incoming, Taken};
pub use message::{Fault, Hello, Message, Messages, Reason, Welcome};
pub use outgoing::Outgoing;
pub use streams::{Admission, admit};

/// The protocol version this program speaks.
pub const VERSION: u8 = 1;

/// So often the receiver says that it lives, even when nothing new is durable.
pub const HEARTBEAT: Duration = Duration::from_secs(5);
