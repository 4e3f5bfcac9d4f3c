//! The two ways into a feed: bytes that a framing cuts, and frames.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use super::feed::{READ_BYTES, Shared};
use super::partial::Partial;
use crate::batch::{Attributes, Batch, BatchBuilder};
use crate::config::OnPartial;
use crate::error::{Error, Reaction};
use crate::framing::{Counters, Cut, Cutter, Payload};
use crate::receipt::Receipt;
use crate::seeded::{self, Bug};
use crate::telemetry::{Counter, Wait, now_ns};

/// Attribute of a frame of which its stream ended in the middle.
pub const PARTIAL: &str = "partial";

/// What one [`Intake::fill`] did.
#[derive(Debug)]
pub enum Filled {
    /// Bytes were read, frames cut and sent.
    Read {
        /// Bytes read.
        bytes: usize,
        /// Frames completed by them.
        frames: usize,
    },
    /// The stream is at its end.
    End,
    /// Reading failed; `WouldBlock` means that nothing is there now.
    Failed(io::Error),
    /// The framing cannot follow the stream, or a bound was passed: close it, for this reason.
    Refused(crate::error::Error),
}

/// One byte stream into the feed. Dropping it forgets its unfinished frame, which is counted; call [`Intake::finish`] at a regular end.
pub struct Intake {
    shared: Rc<Shared>,
    cutter: Cutter,
    attributes: Attributes,
    cuts: Vec<Cut>,
    partial: Partial,
    counted: Counters,
    /// All bytes that came, whatever became of them.
    read_bytes: Counter,
}

impl Intake {
    pub(super) fn new(shared: Rc<Shared>, cutter: Cutter, attributes: Attributes) -> Self {
        Self {
            partial: Partial::new(shared.clone()),
            read_bytes: shared.meters.counter("read_bytes"),
            shared,
            cutter,
            attributes,
            cuts: Vec::new(),
            counted: Counters::default(),
        }
    }

    /// Waits until the actor downstream takes more, in the order of asking among the streams of a feed. Cancel-safe. Nothing may be read before.
    pub async fn ready(&self) {
        self.shared.permit().await;
    }

    /// True while the actor downstream takes more.
    pub fn is_ready(&self) -> bool {
        self.shared.outlet.may_send()
    }

    /// Bytes of the frame that is not complete yet.
    pub fn partial_bytes(&self) -> usize {
        self.partial.bytes()
    }

    /// Frames of this stream that were too long, and are lost.
    pub fn discarded_frames(&self) -> u64 {
        self.counted.discarded_frames
    }

    /// Reads once with `read` (at most 256,000 bytes), cuts what came into frames and sends them on as one batch.
    pub fn fill(&mut self, read: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> Filled {
        self.fill_under(read, |_| Receipt::none())
    }

    /// The same for a source that waits for the fate of its frames: `receipt` is asked for the receipt of each batch before it goes, in order. What it
    /// returns is settled with the batch's fate, beside the receipt that the reader has of it.
    pub fn fill_under(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
        mut receipt: impl FnMut(&Batch) -> Receipt,
    ) -> Filled {
        let mut buffer = self.shared.take_buffer();
        let lead = self.cutter.lead().len();
        let room = buffer.as_mut_slice();
        room[..lead].copy_from_slice(self.cutter.lead());
        let outcome = match read(&mut room[lead..]) {
            Ok(0) => Filled::End,
            Ok(bytes) => {
                self.read_bytes.add(bytes as u64);
                let received_ns = now_ns();
                let cut = self.cutter.cut(&buffer.as_ref()[..lead + bytes], lead, &mut self.cuts);
                let thrown_away = self.count();
                return match cut {
                    Ok(()) => {
                        let frames = self.send_cuts(buffer, lead + bytes, received_ns, &mut receipt);
                        self.partial
                            .set(self.cutter.partial_bytes())
                            .map_or_else(Filled::Refused, |()| Filled::Read { bytes, frames })
                    }
                    Err(error) => {
                        self.send_cuts(buffer, lead + bytes, received_ns, &mut receipt);
                        Filled::Refused(with_bytes(error, thrown_away))
                    }
                };
            }
            Err(error) => Filled::Failed(error),
        };
        *self.shared.buffer.borrow_mut() = Some(buffer);
        outcome
    }

    /// The regular end of the stream. What `on_partial` says is done with a last frame without its delimiter, where the framing allows it to be one.
    pub fn finish(mut self) {
        let bytes = self.cutter.partial_bytes();
        let Some(cut) = self.cutter.finish_if(self.shared.on_partial == OnPartial::Keep) else {
            if bytes > 0 {
                self.leave_out(bytes);
            }
            return;
        };
        let total = self.count_partial();
        if total.is_power_of_two() {
            tracing::info!(actor = %self.shared.source, total, bytes, "the stream ended inside a frame; what had come of it goes on with the attribute {PARTIAL} = \"true\" (`on_partial`)");
        }
        self.attributes = self.attributes.and_of_batch(PARTIAL, "true");
        self.cuts.push(cut);
        let buffer = self.shared.take_buffer();
        self.send_cuts(buffer, 0, now_ns(), &mut |_| Receipt::none());
    }

    /// Counts an unfinished frame that does not go on; its bytes count as truncated when this is dropped.
    fn leave_out(&self, bytes: usize) {
        let total = self.count_partial();
        if self.shared.on_partial != OnPartial::Reject {
            return;
        }
        let meters = &self.shared.meters;
        meters.rejected.add(1);
        meters.lost.add(1);
        if total.is_power_of_two() {
            tracing::warn!(actor = %self.shared.source, total, bytes, "the stream ended inside a frame; what had come of it was rejected and is lost (`on_partial`)");
        }
    }

    fn count_partial(&self) -> u64 {
        let counter = self.shared.meters.counter("partial_frames");
        counter.add(1);
        counter.get()
    }

    fn send_cuts(
        &mut self,
        buffer: crate::batch::PooledBuffer,
        used: usize,
        received_ns: u64,
        receipt: &mut impl FnMut(&Batch) -> Receipt,
    ) -> usize {
        let mut frames = 0;
        let layout = self.cutter.layout();
        let mut cuts = std::mem::take(&mut self.cuts);
        // A buffer that is mostly empty is not worth pinning: what it holds is copied out, and it is read into again.
        let whole = if used >= READ_BYTES / 2 {
            Some(buffer.into_shared())
        } else {
            let copies = &buffer;
            for cut in &mut cuts {
                if let Payload::Input(range) = &cut.payload {
                    cut.payload = Payload::Aside(copies.as_ref()[range.clone()].to_vec());
                }
            }
            *self.shared.buffer.borrow_mut() = Some(buffer);
            None
        };
        for cut in cuts.drain(..) {
            frames += cut.ends.len();
            let (payload, mut pinned) = match (cut.payload, &whole) {
                (Payload::Aside(bytes), _) => {
                    let pinned = bytes.capacity();
                    (Bytes::from(bytes), pinned)
                }
                (Payload::Input(range), Some(whole)) => (whole.slice(range), READ_BYTES),
                (Payload::Input(_), None) => continue,
            };
            pinned += cut.ends.capacity() * size_of::<u32>();
            let mut batch = Batch {
                payload,
                numbers: self.shared.numbers(cut.ends.len()),
                ends: Arc::new(cut.ends),
                layout: layout.clone(),
                attributes: self.attributes.clone(),
                trace: None,
                received_ns,
                wait: Wait::default(),
                position: None,
                pinned,
                receipt: Receipt::none(),
            };
            batch.receipt = receipt(&batch);
            self.shared.send(batch);
        }
        self.cuts = cuts;
        frames
    }

    /// Counts what was not turned into frames since the last call, and gives its bytes.
    fn count(&mut self) -> u64 {
        let now = self.cutter.counters();
        let before = std::mem::replace(&mut self.counted, now);
        if now == before {
            return 0;
        }
        let meters = &self.shared.meters;
        for (name, now, before) in [
            ("oversized_frames", now.discarded_frames, before.discarded_frames),
            ("oversized_bytes", now.discarded_bytes, before.discarded_bytes),
            ("truncated_bytes", now.truncated_bytes, before.truncated_bytes),
        ] {
            if now > before {
                meters.counter(name).add(now - before);
            }
        }
        meters.lost.add(now.discarded_frames - before.discarded_frames);
        let total = meters.counter("oversized_frames").get();
        if now.discarded_frames > before.discarded_frames && total.is_power_of_two() {
            let bytes = meters.counter("oversized_bytes").get();
            tracing::warn!(actor = %self.shared.source, total, bytes, "a frame longer than `max_frame_bytes` = {} was not taken, and is lost: raise the limit if it was a good one", self.cutter.limits().max_frame_bytes);
        }
        (now.discarded_bytes + now.truncated_bytes) - (before.discarded_bytes + before.truncated_bytes)
    }
}

/// Says how much a stream that is given up costs.
fn with_bytes(error: Error, bytes: u64) -> Error {
    if error.reaction() != Reaction::Reject {
        return error;
    }
    Error::rejected(format!(
        "{error}; behind the last whole frame {bytes} bytes had come, which are not taken"
    ))
}

impl Drop for Intake {
    fn drop(&mut self) {
        if seeded::has(Bug::PartialFramePassedOn) {
            self.cuts.extend(self.cutter.finish());
            let buffer = self.shared.take_buffer();
            self.send_cuts(buffer, 0, now_ns(), &mut |_| Receipt::none());
        }
        self.cutter.abandon();
        self.count();
    }
}

/// A stream of ready-made frames into the feed. They are sent in batches, at the latest when [`FrameIntake::flush`] is called.
pub struct FrameIntake {
    shared: Rc<Shared>,
    attributes: Attributes,
    builder: BatchBuilder,
}

/// A batch of single frames is sent when it has this many bytes.
const BATCH_BYTES: usize = 64 * 1024;

impl FrameIntake {
    pub(super) fn new(shared: Rc<Shared>, attributes: Attributes) -> Self {
        let builder = shared.builder(&attributes);
        Self {
            shared,
            attributes,
            builder,
        }
    }

    /// Waits until the actor downstream takes more. Cancel-safe.
    pub async fn ready(&self) {
        self.shared.permit().await;
    }

    /// True while the actor downstream takes more.
    pub fn is_ready(&self) -> bool {
        self.shared.outlet.may_send()
    }

    /// Adds a frame; a full batch is sent.
    pub fn push(&mut self, frame: &[u8]) {
        let number = self.shared.numbers(1).get(0).unwrap_or_default();
        self.builder.push_span(frame, number);
        if self.builder.bytes() >= BATCH_BYTES {
            self.flush();
        }
    }

    /// Sets an attribute of the frame pushed last.
    pub fn attribute(&mut self, key: &str, value: &str) {
        self.builder.attribute(key, value);
    }

    /// Sends what was pushed.
    pub fn flush(&mut self) {
        if self.builder.is_empty() {
            return;
        }
        let next = self.shared.builder(&self.attributes);
        let builder = std::mem::replace(&mut self.builder, next);
        self.shared.send(builder.finish(now_ns(), None, Receipt::none()));
    }
}

impl Drop for FrameIntake {
    fn drop(&mut self) {
        self.flush();
    }
}
