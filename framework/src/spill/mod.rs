//! The spill store: a durable FIFO of frames, memory first, disk when it overflows.
//!
//! ```text
//!             Fifo (pure: decides)          SpillThread (blocking: does)
//!  append --> [ head .. on disk only ][ memory copies .. tail ]
//!                |  Read                 |  Write
//!                v                       v
//!             Storage: 00000000000000000000.redb  00000000000000812345.redb (open for writing)
//! ```
//! A **position** counts frames since the store was created. The directory of a store holds
//!
//! | file | content |
//! |---|---|
//! | `format` | the format's version and a checksum, as text; a newer one is refused untouched |
//! | `lock` | locked while in use, holds the user's process id |
//! | `stream` | what its positions are called, with `persist = "always"`: 128 random bits |
//! | `streams` | how far the streams of other Aqueducts are that end here; only where no segment may tell it, see [`streams`] |
//! | `main.cursor` | the position up to which all is settled; may lag, never leads |
//! | `cursors/NAME.cursor` | the same for each client with a cursor of its own; then `main.cursor` is what none of them needs any more |
//! | `%020d.redb` | a segment, named by the position of its first frame |
//! | `%020d.redb.new` | a segment whose first commit has not happened; removed at the next start |
//! | `%020d-%020d.sealed` | empty: a commit to the segment that begins there failed, and what stands behind the second position is not believed |
//! | `%020d-%020d.gone` | empty: the segment that held these positions, or said that they were settled, was dropped when the store was full (`drop_oldest`), so nothing is missing |
//! | `ages` | how old the segments are, by a clock that runs while the store is open; only with `retain_age` |
//! | `run` | who used the store last, where it ended when that was in order, and the clock and the epoch of that run |
//! | `reserve` | disk space held back, so that a full disk can be drained on any file system |
//! | `quarantine/` | damaged segments once the rest of them is delivered, each with a text that says what and how many frames |
//!
//! A segment in which anything does not fit is not trusted any more: its records are looked for one by one and known by
//! their checksums; each says where the one before ended, so what is missing is known, counted and said.
//!
//! What is deliberately absent: writing to a segment that an earlier process left (a start always begins a new
//! one), deleting records (whole segments go when they are settled), and any trust in a page that redb returns (each record is
//! checked by its own CRC).

mod cursor;
pub mod cursors;
pub mod disk;
mod error;
pub mod fifo;
mod folder;
pub mod inspect;
pub mod named;
mod options;
mod quarantine;
pub mod record;
mod salvage;
pub mod search;
mod segment;
mod storage;
pub mod streams;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod thread;

pub use error::SpillError;
pub use folder::{FIRST_FORMAT, FORMAT};
pub use options::{Persist, Retention, SpillOptions, WhenFull};
pub use storage::{Found, Glass, Recovered, Storage, Usage};
pub use streams::{Mark, Streams};
