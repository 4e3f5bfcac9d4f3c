//! What the thread is asked and what it answers.

use std::ops::Range;

use tokio::sync::oneshot;

use super::{NamedCommand, NamedEvent};
use crate::batch::Batch;
use crate::spill::search::{Search, Searched};
use crate::spill::{Found, SpillError, Usage};

/// What the thread is asked to do, in order.
#[derive(Debug)]
pub enum StorageCommand {
    /// Write the batches; they are committed together with whatever else gathered.
    Append {
        /// See [`crate::spill::fifo::Effect::Write`]: after a failure, appends of the same generation are ignored.
        generation: u64,
        /// Batches with their positions, in order.
        batches: Vec<(u64, Batch)>,
    },
    /// Read from a position.
    Read {
        /// The first position wanted.
        from: u64,
        /// Where to stop.
        to: u64,
        /// About how many payload bytes.
        bytes: u64,
    },
    /// Make the cursor durable, delete segments below it.
    Settle {
        /// Everything below is settled.
        position: u64,
    },
    /// Delete the oldest closed segment within the range.
    DropOldest {
        /// Everything below may be in flight.
        from: u64,
        /// Everything from here on stays.
        to: u64,
    },
    /// Look for a message, one record at a time between other commands. A later search ends the one under way.
    Find {
        /// The search.
        search: Search,
        /// Where its outcome goes; nothing more is looked at once the other end is gone.
        answer: oneshot::Sender<Searched>,
    },
    /// Something for the named cursors.
    Named(NamedCommand),
    /// Look whether the files still have their names, and what room the disk has.
    Check,
    /// Close the files and end the thread.
    Close,
}

/// What the thread reports. Each command is answered once; appends together, by the commit that covers them.
#[derive(Debug)]
pub enum StorageEvent {
    /// Everything appended below `tail` is durable.
    Committed {
        /// The position behind the last durable frame.
        tail: u64,
        /// What the store takes now.
        usage: Usage,
    },
    /// The answer to a read.
    ReadDone {
        /// The batches, and what had to be passed over.
        found: Found,
        /// What the store takes now.
        usage: Usage,
    },
    /// The cursor is durable.
    Settled {
        /// The position.
        position: u64,
        /// What the store takes now.
        usage: Usage,
    },
    /// The answer to `DropOldest`.
    OldestDropped {
        /// The positions that are gone; none when no segment qualified.
        range: Option<Range<u64>>,
        /// What the store takes now.
        usage: Usage,
    },
    /// The answer to something for the named cursors.
    Named {
        /// What was done.
        event: NamedEvent,
        /// What the store takes now.
        usage: Usage,
    },
    /// Something failed. After a failed write nothing since the last `Committed` is acknowledged.
    Failed {
        /// Which command.
        what: Failure,
        /// Why.
        error: SpillError,
    },
    /// The answer to `Check`.
    Checked {
        /// See [`crate::spill::Storage::deleted_frames`].
        deleted_frames: u64,
        /// Bytes the disk still has; none when it does not say.
        free_bytes: Option<u64>,
    },
    /// The files are closed; the last event. What was committed is safe even with an error.
    Closed {
        /// See [`crate::spill::Storage::deleted_frames`]: gone for good.
        deleted_frames: u64,
        /// Why the newest segment could not be closed in order.
        error: Option<SpillError>,
    },
}

/// Which kind of command failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Append or commit: call `Fifo::write_failed`.
    Write,
    /// Read: call `Fifo::read_failed`.
    Read,
    /// The cursor could not be made durable: it lags, and is tried again later.
    Cursor,
    /// A segment could not be deleted: call `Fifo::drop_failed`.
    Drop,
}
