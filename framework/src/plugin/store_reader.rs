//! What a sink reads a spill store with, when its clients have cursors of their own there.

use crate::batch::Batch;
use crate::error::{Error, Result};

/// What a sink asks of the spill store in front of it. Checked before anything is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StoreUse {
    /// Nothing: there may be one or not.
    #[default]
    Any,
    /// A store with `persist = "always"` stands directly in front, so that every batch has a durable position.
    Positions,
    /// The same, with `retain_bytes`, and feeds nothing else: the sink reads it itself, see [`Sink::serve`](super::Sink::serve).
    Cursors,
}

/// Where a cursor begins that the store does not know yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the oldest frame there is.
    Oldest,
    /// With the next frame that comes.
    Newest,
}

/// A cursor that a store keeps, as others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedCursor {
    /// Its name.
    pub name: String,
    /// Everything below this position is settled for it.
    pub position: u64,
    /// Frames that wait for it.
    pub waiting_frames: u64,
    /// Frames it was moved past, because the store did not retain them, since the pipeline was started.
    pub passed_frames: u64,
}

/// The store in front of a sink, as the sink reads it. Clones read the same store.
#[derive(Debug, Clone)]
pub struct StoreReader {}

/// One reader's place in a store.
#[derive(Debug)]
pub struct ReadCursor {
    name: String,
}

/// What a cursor read.
#[derive(Debug)]
pub struct Read {
    /// Frames it was moved past before this batch: deleted by retention, or damaged.
    pub passed_frames: u64,
    /// The frames. Their receipt is none: [`ReadCursor::settle`] tells their fate.
    pub batch: Batch,
    /// The position behind its last frame: what to settle once it is with the client.
    pub end: u64,
}

impl StoreReader {
    /// All cursors the store keeps, in the order of their names; those of clients that are not there too.
    ///
    /// # Errors
    /// `fatal` when the store has ended.
    pub async fn cursors(&self) -> Result<Vec<NamedCursor>> {
        Err(not_there())
    }

    /// The cursor of that name. One the store does not know is made, durable before this returns, and begins at `start`. One open cursor of a name at
    /// a time: an older one reads nothing more.
    ///
    /// # Errors
    /// `rejected` when there are as many as `max_cursors` allows, or the name is not one; `unavailable` when the disk does not take it.
    pub async fn cursor(&self, name: &str, start: Start) -> Result<ReadCursor> {
        let _ = (name, start);
        Err(not_there())
    }

    /// Resolves when the pipeline ends: finish what is being written, settle it, and return. Cancel-safe.
    pub async fn stopping(&self) {
        std::future::pending().await
    }
}

impl ReadCursor {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The next frames behind those read before, about `bytes` of them; waits until there are some. Only what is durable is read. In order. Cancel-safe.
    ///
    /// # Errors
    /// `unavailable` when the disk cannot be read now; `fatal` when the store has ended.
    pub async fn next(&mut self, bytes: u64) -> Result<Read> {
        let _ = bytes;
        Err(not_there())
    }

    /// Everything below `position` is with the client. Durable within about 100 ms; it may lag after a crash, never lead. The store may delete what all cursors have
    /// settled.
    pub fn settle(&mut self, position: u64) {
        let _ = position;
    }

    /// Frames in the store that this cursor has not settled.
    pub fn waiting_frames(&self) -> u64 {
        0
    }
}

fn not_there() -> Error {
    Error::fatal("cursors in a store are not there yet")
}
