//! How many frames may be written and not answered, after a refusal and otherwise: no clock, no I/O.

#[cfg(test)]
mod tests;

/// Outlives the connections of one peer. A refusal shrinks it to one group of frames, so that what stands behind the refused one is not sent in vain
/// again and again; with each good answer it grows by what that was about, which doubles it at every round trip.
#[derive(Debug)]
pub(super) struct Window {
    most: u64,
    now: u64,
}

impl Window {
    pub(super) fn new(most: u64) -> Self {
        Self { most, now: most }
    }

    /// Frames that may be written and not answered.
    pub(super) fn frames(&self) -> u64 {
        self.now
    }

    /// The other side has not taken what the oldest answer was due for, a group of so many frames.
    pub(super) fn refused(&mut self, group: u64) {
        self.now = group.clamp(1, self.most);
    }

    /// No answer came in time. A peer that waits for more frames before it answers must not wait for ever.
    pub(super) fn overdue(&mut self) {
        self.now = self.most;
    }

    /// A good answer, about so many frames.
    pub(super) fn answered(&mut self, frames: u64) {
        self.now = self.now.saturating_add(frames).min(self.most);
    }
}
