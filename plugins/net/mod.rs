//! What the TCP plugins share: dialling, listening, socket buffers, keepalive, the flight recorders, and the words for what went wrong.

mod accept;
mod address;
mod buffers;
mod dial;
mod failure;
mod flight;
mod keepalive;
mod leave;
mod listen;
mod lookup;
#[cfg(test)]
mod tests;

pub(crate) use accept::{Listener, canonical};
pub(crate) use address::{checked, checked_to_listen};
pub(crate) use buffers::Buffers;
pub(crate) use dial::Dial;
pub(crate) use failure::{advice, is_reset};
pub(crate) use flight::{Flight, Flown, Told};
pub(crate) use keepalive::Keepalive;
pub(crate) use leave::take_leave;
pub(crate) use listen::Listen;
