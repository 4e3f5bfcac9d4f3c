//! What Aqueduct asks of Linux directly: the few calls the standard library does not offer, behind safe functions.
//!
//! Everything here is a plain function: no state, no thread, nothing that waits. Functions take borrowed
//! descriptors and never close them. Linux only.
//!
//! | file | noun |
//! |---|---|
//! | [`socket`] | a connected TCP socket: its buffers, its queues, its end, its statistics |
//! | [`mod@file`] | a file or folder on disk: space, durability of names, lock |
//! | [`process`] | this process: memory, CPU time, signals, limits |
//! | [`scan`] | a buffer: where a byte occurs |
//!
//! This is the only crate of the workspace that may contain `unsafe`. Each block says why it is sound.

pub mod file;
pub mod process;
pub mod scan;
pub mod socket;
