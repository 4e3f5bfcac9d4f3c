//! The counters that cross threads: the standard library's. The crate under `tests/interleavings` compiles what uses them over a
//! checker's instead, which tries every order in which threads can meet.

pub(crate) use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
