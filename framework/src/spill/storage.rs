//! The blocking storage object: one owner, no threads inside.

use crate::batch::Batch;
use crate::spill::SpillOptions;

/// What went wrong in a store's directory.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SpillError(String);

impl SpillError {
    /// True when there is no room: disk, quota or file size limit.
    pub fn is_full(&self) -> bool {
        false
    }
}

/// What an opened store found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The position up to which all is settled.
    pub settled: u64,
    /// The position behind the last durable frame.
    pub tail: u64,
    /// Frames waiting on disk (at most: ranges that were settled out of order are counted too).
    pub frames: u64,
    /// Bytes its segments take on disk.
    pub bytes: u64,
}

/// What a store takes and what it had to give up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Allocated bytes of its segments.
    pub bytes: u64,
    /// How many segments.
    pub segments: u64,
    /// Frames set aside in quarantine since the store was opened.
    pub quarantined: u64,
}

/// A store's files.
#[derive(Debug)]
pub struct Storage {}

impl Storage {
    /// Opens or creates the store.
    pub fn open(_options: &SpillOptions) -> Result<(Self, Recovered), SpillError> {
        Err(SpillError("not there yet".into()))
    }

    /// Adds a batch behind what was appended before.
    pub fn append(&mut self, _position: u64, _batch: &Batch) -> Result<(), SpillError> {
        Err(SpillError("not there yet".into()))
    }
}
