//! What the TCP plugins share: dialling, listening, socket buffers, and the words for what went wrong.

mod buffers;
mod dial;
mod failure;
mod listen;

pub(crate) use buffers::Buffers;
pub(crate) use dial::Dial;
pub(crate) use failure::{advice, is_reset};
pub(crate) use listen::{Listen, pause_after};
