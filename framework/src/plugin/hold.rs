//! What a processor holds back of the batch in hand: which frames, and whether it let go of what it held before.

use std::time::Duration;

/// How much a processor holds back at most, and how long. When one of them is reached, [`Processor::tick`](super::Processor::tick) is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldLimit {
    /// Bytes of the batches whose frames are held: what they pin in memory, at least 4,096 each. Half of the actor's `window_bytes` if that is less.
    pub bytes: usize,
    /// Age of the frame held longest. It is what ends the wait when a spill store upstream has sent all its `in_flight_bytes` before `bytes` are held.
    pub time: Duration,
}

/// Frames of one batch that are held, by index, and the frames at which everything before was let go of.
#[derive(Debug, Default)]
pub(crate) struct HeldFrames {
    pub(super) may: bool,
    held: Vec<u32>,
    released_at: Vec<u32>,
}

impl HeldFrames {
    pub(super) fn hold(&mut self, index: u32) {
        if self.held.last() != Some(&index) {
            self.held.push(index);
        }
    }

    pub(super) fn release(&mut self, index: u32) {
        if self.released_at.last() != Some(&index) {
            self.released_at.push(index);
        }
    }

    /// Takes back what the frames from `index` on did.
    pub(super) fn roll_back(&mut self, index: u32) {
        self.held.truncate(self.held.partition_point(|held| *held < index));
        self.released_at
            .truncate(self.released_at.partition_point(|at| *at < index));
    }

    pub(super) fn clear(&mut self) {
        self.held.clear();
        self.released_at.clear();
    }

    /// True when what earlier batches left was let go of.
    pub(crate) fn has_released(&self) -> bool {
        !self.released_at.is_empty()
    }

    /// Takes out the frames that are held and not let go of.
    pub(crate) fn take_kept(&mut self) -> Vec<u32> {
        let released = self.released_at.last().copied().unwrap_or(0);
        let kept = self.held.split_off(self.held.partition_point(|held| *held < released));
        self.held.clear();
        kept
    }

    /// Takes out what the whole batch did: whether it let go of earlier ones, and the frames it leaves held.
    pub(crate) fn take(&mut self) -> (bool, Vec<u32>) {
        let outcome = (self.has_released(), self.take_kept());
        self.clear();
        outcome
    }
}
