//! What the machine asks its actor to do, and what it shows of itself.

use crate::batch::Batch;
use crate::receipt::{Fate, Receipt};

/// Something to do, in the order returned.
#[derive(Debug)]
pub enum Effect {
    /// Send the batch down under a receipt issued as `ledger.issue(token, epoch)`, and spend its cost.
    Hand {
        /// The receipt's token: the position of the first frame.
        token: u64,
        /// The receipt's epoch.
        epoch: u64,
        /// The frames; the receipt in it is none.
        batch: Batch,
        /// True when it was read back from disk.
        from_disk: bool,
    },
    /// Pass on to the writer.
    Write {
        /// Raised at every failure, so that what was queued before it is ignored.
        generation: u64,
        /// Batches with their positions, in order.
        batches: Vec<(u64, Batch)>,
    },
    /// Read the frames from `from` on, below `to`, about `bytes` of them; answer with `read_done`.
    Read {
        /// The first position wanted.
        from: u64,
        /// The position at which to stop: what follows is in memory.
        to: u64,
        /// How many payload bytes; at least one record is read.
        bytes: u64,
    },
    /// Settle the receipt of a batch that came from upstream.
    SettleUpstream {
        /// The receipt.
        receipt: Receipt,
        /// Its fate.
        fate: Fate,
    },
    /// Make the cursor durable and delete what is settled; answer with `cursor_persisted`.
    PersistCursor {
        /// Everything below is settled.
        position: u64,
    },
    /// Delete the oldest closed segment that starts at `from` or later and ends at `to` or before; answer with `oldest_dropped`.
    DropOldest {
        /// Everything below may be in flight.
        from: u64,
        /// Everything from here on is in memory too.
        to: u64,
    },
    /// Nothing is left to do; the writer can be closed. Returned once.
    Finished,
}

/// Where the batches of a store are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// All unsettled frames are in memory, nothing is written.
    Memory,
    /// Every batch that arrives is written; with `persist = "always"` that is so from the start.
    Spilling,
    /// The store is full, or the disk does not take anything: nothing is granted upstream.
    Blocked,
    /// Shutting down.
    Draining,
}

/// Frames a store gave up, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Refused on arrival under `when_full = "drop_newest"`.
    pub newest: u64,
    /// Deleted under `when_full = "drop_oldest"`.
    pub oldest: u64,
    /// Unreadable, set aside in quarantine.
    pub unreadable: u64,
    /// In memory only when writing was given up at shutdown.
    pub abandoned: u64,
}

/// What can be seen of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// Where batches go now.
    pub mode: Mode,
    /// More waits than memory holds, or for longer than `memory_age`; until all of it has been handed down.
    pub backlog: bool,
    /// `max_bytes` is used up, or the disk takes nothing and memory is full.
    pub full: bool,
    /// Everything below this position is settled.
    pub settled: u64,
    /// The position behind the newest frame.
    pub tail: u64,
    /// Everything unsettled below this position that was written is durable.
    pub committed: u64,
    /// Frames taken and not settled.
    pub waiting_frames: u64,
    /// The most `waiting_frames` has been.
    pub peak_frames: u64,
    /// Cost of the batches in memory, read-ahead included, in bytes.
    pub memory_bytes: u64,
    /// The most `memory_bytes` has been.
    pub peak_memory_bytes: u64,
    /// Allocated bytes on disk.
    pub disk_bytes: u64,
    /// The most `disk_bytes` has been.
    pub peak_disk_bytes: u64,
    /// Cost of what is handed down and not settled, in bytes.
    pub in_flight_bytes: u64,
    /// The epoch of hand-downs: raised when dropped batches are sent again.
    pub epoch: u64,
    /// Frames given up.
    pub dropped: Dropped,
    /// Frames set aside by redelivery so far: handed down more than once.
    pub repeated: u64,
}
