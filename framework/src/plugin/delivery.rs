//! What a sink writes: one batch, as wire bytes or frame by frame, resumable at the frame that failed.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;

use crate::batch::{Batch, Frame};
use crate::error::Error;
use crate::framing::{DynFraming, encode_batch, is_wire_form};
use crate::receipt::{Fate, Receipt};
use crate::seeded::{self, Bug};

/// A batch on its way out. A sink takes either wire bytes ([`Delivery::wire`], [`Delivery::advance`]) or frames
/// ([`Delivery::next_frame`]), not both in one call.
#[derive(Debug)]
pub struct Delivery {
    batch: Batch,
    wire: Bytes,
    ends: Arc<Vec<u32>>,
    written: usize,
    /// Frames written whole, and the one handed out last when `by_frame`.
    frame: usize,
    /// A frame is in the sink's hands.
    by_frame: bool,
}

impl Delivery {
    /// A delivery of `batch`, whose frames are encoded in `wire` and end there at `ends`.
    pub fn new(batch: Batch, wire: Bytes, ends: Arc<Vec<u32>>) -> Self {
        Self {
            batch,
            wire,
            ends,
            written: 0,
            frame: 0,
            by_frame: false,
        }
    }

    /// The batch in this framing, and the frames that do not fit it, with the reasons: they take no bytes on the wire. A payload that is in the framing
    /// already is not copied.
    pub fn encoded(framing: &dyn DynFraming, batch: Batch) -> (Self, Vec<(usize, Error)>) {
        if is_wire_form(framing, &batch) {
            let (wire, ends) = (batch.payload.clone(), batch.ends.clone());
            return (Self::new(batch, wire, ends), Vec::new());
        }
        let (mut wire, mut ends) = (Vec::new(), Vec::with_capacity(batch.len()));
        let (mut refused, mut from) = (Vec::new(), 0);
        while let Err((index, error)) = encode_batch(framing, &batch, from..batch.len(), &mut wire, &mut ends) {
            // So that the frames behind it keep their places.
            ends.push(wire.len() as u32);
            refused.push((index, error));
            from = index + 1;
        }
        (Self::new(batch, wire.into(), Arc::new(ends)), refused)
    }

    /// The same bytes, for another destination to take from where this one stands. Its receipt is none.
    #[must_use]
    pub fn share(&self) -> Self {
        Self {
            batch: self.batch.share(Receipt::none()),
            wire: self.wire.clone(),
            ends: self.ends.clone(),
            written: self.written,
            frame: self.frame,
            by_frame: false,
        }
    }

    /// A delivery for a sink that takes batches as they are ([`StoreUse::Positions`](super::StoreUse::Positions)): it has no wire form, and every frame counts as one byte.
    pub fn counted(batch: Batch) -> Self {
        let ends = (1..=batch.len() as u32).collect();
        Self::new(batch, Bytes::new(), Arc::new(ends))
    }

    /// The wire bytes not written yet: the frames in the sink's framing.
    pub fn wire(&self) -> &[u8] {
        self.wire.get(self.written..).unwrap_or_default()
    }

    /// The unwritten wire bytes of the first frames that fit into `bytes` together, but of one frame at least: for sinks that must not
    /// part a frame.
    pub fn whole_frames(&self, bytes: usize) -> &[u8] {
        let ends = &self.ends[self.frame.min(self.ends.len())..];
        let most = self.written.saturating_add(bytes);
        let fitting = ends.partition_point(|end| *end as usize <= most).max(1);
        let end = ends.get(fitting - 1).map_or(self.wire.len(), |end| *end as usize);
        &self.wire[self.written..end]
    }

    /// Where in [`Delivery::wire`] the frames end that its first `bytes` make whole, in order. A frame that takes no bytes on the wire has no end there.
    pub fn ends_within(&self, bytes: usize) -> impl Iterator<Item = usize> + '_ {
        let (written, most) = (self.written, self.written.saturating_add(bytes));
        let mut before = self.start_of(self.frame);
        let ends = self.ends.iter().skip(self.frame).map(|end| *end as usize);
        ends.take_while(move |end| *end <= most)
            .filter(move |end| std::mem::replace(&mut before, *end) < *end)
            .map(move |end| end - written)
    }

    /// Where each frame ends in the wire bytes, counted from the first frame; one that does not fit the framing ends where it begins.
    pub fn ends(&self) -> &Arc<Vec<u32>> {
        &self.ends
    }

    /// Notes that the first `bytes` of [`Delivery::wire`] were written.
    pub fn advance(&mut self, bytes: usize) {
        let end = self.ends.last().map_or(0, |end| *end as usize);
        self.written = (self.written + bytes).min(self.wire.len().max(end));
        let (written, ends) = (self.written, &self.ends);
        // A write covers many frames; the search starts where the last one ended.
        self.frame += ends[self.frame..].partition_point(|end| *end as usize <= written);
    }

    /// Notes that the next `frames` were written, in whatever form: for sinks that write several at once, and not their wire bytes.
    pub fn advance_frames(&mut self, frames: usize) {
        self.frame = (self.frames_written() + frames).min(self.batch.len());
        self.by_frame = false;
        self.written = self.start_of(self.frame);
    }

    /// The next frame; taking it says that the one before is written.
    pub fn next_frame(&mut self) -> Option<Frame<'_>> {
        self.by_frame = self.frame < self.batch.len();
        self.by_frame.then(|| {
            self.frame += 1;
            self.batch.frame(self.frame - 1)
        })
    }

    /// True when everything was written.
    pub fn is_done(&self) -> bool {
        self.frame >= self.batch.len()
    }

    /// Frames written whole.
    pub fn frames_written(&self) -> usize {
        self.frame - usize::from(self.by_frame)
    }

    /// The batch itself: numbers, attributes, trace.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// Goes back to the start of the first frame that was not written whole: a new connection must not begin inside one.
    pub fn rewind(&mut self) {
        self.frame -= usize::from(std::mem::take(&mut self.by_frame));
        if seeded::has(Bug::ResumeBehindFrame) {
            self.frame = (self.frame + 1).min(self.batch.len());
        }
        if !seeded::has(Bug::ResumeInsideFrame) {
            self.written = self.start_of(self.frame);
        }
    }

    /// Wire bytes written so far, from the first frame on.
    pub(crate) fn written_bytes(&self) -> u64 {
        self.written as u64
    }

    /// Goes back to the start of the first frame of which not all is among the first `bytes` on the wire; returns the frames written whole
    /// that come again by that.
    pub(crate) fn rewind_to(&mut self, bytes: u64) -> usize {
        let before = self.frames_written();
        self.by_frame = false;
        self.frame = self.frame_behind(bytes).min(before);
        self.frame += usize::from(seeded::has(Bug::ResendOneTooFew) && self.frame < before);
        self.written = self.start_of(self.frame);
        before - self.frame
    }

    /// Settles the batch; a second time changes nothing.
    pub(crate) fn settle(&mut self, fate: Fate) {
        std::mem::replace(&mut self.batch.receipt, Receipt::none()).settle(fate);
    }

    /// Notes that the first `frames` are off our hands: their store does not send them again, whatever becomes of the others.
    pub(crate) fn done(&mut self, frames: usize) {
        if let Some(number) = self.batch.numbers.least_from(frames) {
            self.batch.receipt.done_below(number);
        }
    }

    /// The frame that an error of the sink is about.
    pub(crate) fn failed_frame(&self) -> usize {
        self.frame
            .saturating_sub(usize::from(self.by_frame))
            .min(self.batch.len().saturating_sub(1))
    }

    /// The first frame of which not all is among the first `bytes` on the wire.
    pub(crate) fn frame_behind(&self, bytes: u64) -> usize {
        self.ends.partition_point(|end| u64::from(*end) <= bytes)
    }

    /// False for a frame that takes no bytes on the wire: its framing has refused it, or it is empty and has no framing.
    pub(crate) fn is_on_wire(&self, frame: usize) -> bool {
        self.ends
            .get(frame)
            .is_some_and(|end| *end as usize > self.start_of(frame))
    }

    /// Leaves out the frame that failed.
    pub(crate) fn skip_frame(&mut self) {
        self.frame = (self.failed_frame() + 1).min(self.batch.len());
        self.by_frame = false;
        self.written = self.start_of(self.frame);
    }

    /// The batch back, with its receipt.
    pub fn into_batch(self) -> Batch {
        self.batch
    }

    fn start_of(&self, frame: usize) -> usize {
        if frame == 0 {
            0
        } else {
            self.ends.get(frame - 1).map_or(self.wire.len(), |end| *end as usize)
        }
    }
}
