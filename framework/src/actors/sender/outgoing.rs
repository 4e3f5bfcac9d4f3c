//! A batch in the sender's hands.

use std::ops::Range;

use crate::batch::Batch;
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
    /// The first so many are off our hands, delivered or dead letters.
    done: usize,
    /// What was told of it before.
    told: Out,
}

/// What has been delivered.
#[derive(Default)]
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
            done: 0,
            told: Out::default(),
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

    /// The frames that stand on these bytes of its own on the wire.
    pub(super) fn frames_on(&self, bytes: &Range<u64>) -> Range<usize> {
        self.delivery.frame_behind(bytes.start)..self.delivery.frame_behind(bytes.end)
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

    /// Notes that the first `frames` are off our hands, though not the batch; `count` is told of those that are delivered.
    pub(super) fn done(&mut self, frames: usize, count: impl FnOnce(Out)) {
        let Some(open) = &mut self.open else { return };
        if frames <= open.done {
            return;
        }
        open.done = frames;
        self.delivery.done(frames);
        let batch = self.delivery.batch();
        let delivered = (frames as u64).saturating_sub(open.refused);
        let bytes = frame_bytes_of(batch, frames);
        count(Out {
            frames: delivered.saturating_sub(open.told.frames),
            bytes: bytes.saturating_sub(open.told.bytes),
            lost: 0,
        });
        open.told.frames = open.told.frames.max(delivered);
        open.told.bytes = open.told.bytes.max(bytes);
    }

    /// Notes that the frames in the first `bytes` of its own on the wire are off our hands.
    pub(super) fn done_bytes(&mut self, bytes: u64, count: impl FnOnce(Out)) {
        self.done(self.delivery.frame_behind(bytes), count);
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
        let delivered = open.frames - open.refused.min(open.frames);
        count(Out {
            frames: delivered.saturating_sub(open.told.frames),
            bytes: open.bytes.saturating_sub(open.told.bytes),
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

    /// Its frames that are not off our hands, while it is not settled.
    pub(super) fn unsettled_frames(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.frames - open.done as u64)
    }
}

/// The bytes of a batch's first frames, without framing.
fn frame_bytes_of(batch: &Batch, frames: usize) -> u64 {
    let framing = u64::from(batch.layout.head + batch.layout.tail) * frames as u64;
    let end = frames.checked_sub(1).and_then(|last| batch.ends.get(last));
    u64::from(end.copied().unwrap_or(0)).saturating_sub(framing)
}
