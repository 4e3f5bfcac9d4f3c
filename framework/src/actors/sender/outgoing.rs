//! A batch in the sender's hands.

use crate::mailbox::Held;
use crate::plugin::{Delivery, frame_bytes};
use crate::receipt::Fate;
use crate::telemetry::WorkSpan;

/// A batch being written, or written and not acknowledged, or kept to be written again.
pub(super) struct Outgoing {
    pub(super) delivery: Delivery,
    /// Ends when the batch was first written whole.
    pub(super) span: WorkSpan,
    /// The other side has refused the frames up to this byte on the wire; 0 when it refused none.
    pub(super) refused_bytes: u64,
    /// Frames written whole when it last failed.
    failed_at: usize,
    /// What is told of it when it is settled. None afterwards.
    open: Option<Open>,
}

struct Open {
    /// Its share of the window.
    held: Held,
    frames: u64,
    refused: u64,
    bytes: u64,
}

/// What counts once a batch is settled.
pub(super) struct Out {
    pub(super) frames: u64,
    pub(super) bytes: u64,
    /// Frames that were refused and thrown away.
    pub(super) lost: u64,
}

impl Outgoing {
    pub(super) fn new(delivery: Delivery, span: WorkSpan, held: Held) -> Self {
        let batch = delivery.batch();
        let open = Open {
            held,
            frames: batch.len() as u64,
            refused: 0,
            bytes: frame_bytes(batch),
        };
        Self {
            delivery,
            span,
            refused_bytes: 0,
            failed_at: 0,
            open: Some(open),
        }
    }

    /// Notes frames that became dead letters.
    pub(super) fn refused(&mut self, frames: u64) {
        if let Some(open) = &mut self.open {
            open.refused += frames;
        }
    }

    /// Notes that it failed where it stands. True when it has come further than the last time.
    pub(super) fn failed(&mut self) -> bool {
        let at = self.delivery.frames_written();
        at > std::mem::replace(&mut self.failed_at, at)
    }

    /// The first frame behind those that were refused.
    pub(super) fn refused_end(&self) -> usize {
        self.delivery.frame_behind(self.refused_bytes)
    }

    /// True when frames were refused and are still to be written.
    pub(super) fn has_refused(&self) -> bool {
        self.refused_end() > self.delivery.frames_written()
    }

    /// Settles the batch and lets go of its share of the window, after `count` was told; what was refused makes it rejected unless dead letters are
    /// `kept`. A second time nothing happens.
    pub(super) fn settle(&mut self, kept: bool, count: impl FnOnce(Out)) {
        let Some(open) = self.open.take() else { return };
        let fate = if open.refused > 0 && !kept {
            Fate::Rejected
        } else {
            Fate::Delivered
        };
        count(Out {
            frames: open.frames - open.refused.min(open.frames),
            bytes: open.bytes,
            lost: if kept { 0 } else { open.refused.min(open.frames) },
        });
        self.delivery.settle(fate);
    }

    /// Gives its share of the window back, before it is settled.
    pub(super) fn release_window(&mut self) {
        if let Some(open) = &mut self.open {
            open.held.release();
        }
    }

    /// Its frames while it is not settled.
    pub(super) fn unsettled_frames(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.frames)
    }
}
