//! The flight recorder: every connection keeps a minute of its own history, so that its end is explained in a sentence.
//!
//! | file | noun |
//! |---|---|
//! | `ring.rs` | [`Slot`], [`Ring`]: 600 slots of 100 ms, 36 bytes each; a slot in which nothing happened takes none |
//! | `recorder.rs` | [`Recorder`]: what one connection notes: reads, writes, waits, samples of the kernel's queues |
//! | `blame.rs` | [`Below`]: the edges and actors downstream, asked who takes nothing |
//! | `event.rs` | [`Event`]: how a connection ended, or why none came about |
//! | `judge/` | [`judge`]: from recorder and event to a [`Verdict`]: cause, sureness, a sentence, evidence |
//! | `endpoint.rs` | [`Endpoint`]: what connects one connection with the next: refusals, restarts, equal silences |
//! | `report.rs` | [`Report`]: a verdict with time, place and the last slots, in words and as JSON |
//! | `repeats.rs` | [`Repeats`]: says the first of equal reports aloud, and then only when their number doubles |
//! | `journal.rs` | [`Journal`]: the bounded file of a pipeline's reports, which outlives the process |
//!
//! **Cost.** Reads and writes add plain numbers. System calls are made at most ten times a second and connection, and
//! only while bytes wait: for us to read them, or for the peer to take them. **Memory**: at most 21,600 bytes a connection.
//!
//! **What is deliberately absent**: a clock, sockets and randomness. The recorder is given times in milliseconds since its
//! connection began, and whoever owns the socket samples it.

mod blame;
mod cause;
mod endpoint;
mod event;
mod journal;
mod judge;
mod recorder;
mod repeats;
mod report;
mod ring;
#[cfg(test)]
mod tests;

pub use blame::{Below, BelowEdge, Blame};
pub use cause::{Cause, Sureness};
pub use endpoint::Endpoint;
pub use event::{Errno, Event, Ours};
pub use journal::{Journal, JournalFile};
pub use judge::{Case, Side, Verdict, judge};
pub use recorder::{Recorder, Sample};
pub use repeats::{Heard, Repeats};
pub use report::Report;
pub use ring::{Ring, SLOT_MS, SLOTS, Slot};
