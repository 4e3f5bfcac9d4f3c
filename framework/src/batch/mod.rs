//! A batch: frames that travel together. The unit of mailboxes, demand, receipts, spill records and spans.
//!
//! One shared payload and an offset table; never one message per frame. Frame `i` occupies the payload from the end of
//! frame `i - 1` to `ends[i]`; of these bytes the first `head` and the last `tail` belong to the framing (a
//! length header, a delimiter), what is between them is the frame. So a sink that speaks the framing of the source writes the payload as it is.

mod attributes;
mod builder;
mod numbers;
mod pool;
mod position;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;

pub use attributes::{Attributes, FrameAttribute};
pub use builder::BatchBuilder;
pub use numbers::{Numbers, NumbersCursor, Run};
pub use pool::{Pool, PooledBuffer};
pub use position::{Position, StreamId};

use crate::receipt::Receipt;
use crate::telemetry::{MESSAGE_TRACEPARENT, OpenSpan, TraceContext, Traceparent, Wait};

/// The least a batch costs in demand, in bytes: it bounds the number of batches a window admits.
pub const LEAST_COST_BYTES: usize = 4096;

/// How a framing's own bytes lie around each frame of a payload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// Bytes before each frame.
    pub head: u32,
    /// Bytes behind each frame.
    pub tail: u32,
    /// What encodes frames exactly like this, such as `delimited:0a`; none when the payload is not in any wire form.
    pub wire: Option<Arc<str>>,
}

/// Frames that travel together, with their numbers, attributes, trace context and receipt.
#[derive(Debug)]
pub struct Batch {
    /// The shared bytes.
    pub payload: Bytes,
    /// Where each frame ends in the payload, framing bytes included; ascending.
    pub ends: Arc<Vec<u32>>,
    /// The framing's bytes around each frame.
    pub layout: Layout,
    /// The frames' numbers.
    pub numbers: Numbers,
    /// What is known about the frames besides their bytes.
    pub attributes: Attributes,
    /// The trace this batch belongs to, when it is sampled.
    pub trace: Option<TraceContext>,
    /// When the first byte was read, in nanoseconds since 1970.
    pub received_ns: u64,
    /// Its stay in the store it came to last.
    pub wait: Wait,
    /// Where it stands in the store that handed it down last. None when that was no durable store, or when its frames were put together anew since.
    pub position: Option<Position>,
    /// Memory the batch keeps alive, in bytes: the capacity of its buffers, not the length of its frames, and its attributes.
    pub pinned: usize,
    /// The batch's promise to report its fate.
    pub receipt: Receipt,
}

impl Batch {
    /// How many frames.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True without any frame.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// What the batch costs in demand, in bytes.
    pub fn cost(&self) -> usize {
        self.pinned.max(LEAST_COST_BYTES)
    }

    /// The bytes of frame `index` in the payload, framing bytes included.
    pub fn span(&self, index: usize) -> std::ops::Range<usize> {
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        start..self.ends[index] as usize
    }

    /// The frame at `index`, from 0.
    ///
    /// # Panics
    /// When `index` is not below [`Batch::len`].
    pub fn frame(&self, index: usize) -> Frame<'_> {
        Frame { batch: self, index }
    }

    /// The frames, in order.
    pub fn frames(&self) -> impl ExactSizeIterator<Item = Frame<'_>> {
        (0..self.len()).map(|index| self.frame(index))
    }

    /// The id of its trace, as backends write it: 32 hexadecimal digits. None when it is not sampled.
    pub fn trace_id(&self) -> Option<String> {
        self.trace.map(TraceContext::id)
    }

    /// The frames of this range, with their numbers, attributes and position; the bytes are shared. Its receipt is none.
    ///
    /// # Panics
    /// When the range is empty or reaches behind the last frame.
    #[must_use]
    pub fn part(&self, frames: std::ops::Range<usize>) -> Batch {
        crate::spill::record::slice(self, frames.start, frames.end)
    }

    /// Adds attributes of single frames, in ascending order, over those of the same frame and key that are there. They cost demand: for a batch that was just made.
    pub(crate) fn merge_attributes(&mut self, newer: Vec<FrameAttribute>) {
        let before = self.attributes.bytes();
        self.attributes.merge_frames(newer);
        self.pinned = (self.pinned + self.attributes.bytes()).saturating_sub(before);
    }

    /// The same frames under another receipt: for fan-out, and for stores that keep a copy. The bytes are shared.
    pub fn share(&self, receipt: Receipt) -> Batch {
        Batch {
            payload: self.payload.clone(),
            ends: self.ends.clone(),
            layout: self.layout.clone(),
            numbers: self.numbers.clone(),
            attributes: self.attributes.clone(),
            trace: self.trace,
            received_ns: self.received_ns,
            wait: self.wait,
            position: self.position,
            pinned: self.pinned,
            receipt,
        }
    }
}

/// What a batch keeps alive beside its payload, in bytes.
pub(crate) fn pinned_beside(ends: &Vec<u32>, numbers: &Numbers, attributes: &Attributes) -> usize {
    ends.capacity() * size_of::<u32>() + numbers.bytes() + attributes.bytes()
}

/// One message cut from the byte stream.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    batch: &'a Batch,
    index: usize,
}

impl<'a> Frame<'a> {
    /// The frame's bytes, without the framing's own.
    pub fn bytes(&self) -> &'a [u8] {
        let span = self.batch.span(self.index);
        let layout = &self.batch.layout;
        &self.batch.payload[span.start + layout.head as usize..span.end - layout.tail as usize]
    }

    /// The bytes between the `column`-th and the next `separator`, from 0; none when there are fewer columns.
    pub fn field(&self, separator: u8, column: usize) -> Option<&'a [u8]> {
        self.bytes().split(|byte| *byte == separator).nth(column)
    }

    /// Its index in the batch, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The counter its source gave it.
    pub fn number(&self) -> u64 {
        self.batch.numbers.get(self.index).unwrap_or_default()
    }

    /// The actor that read it.
    pub fn source(&self) -> &'a str {
        &self.batch.numbers.source
    }

    /// The value of one of its attributes.
    pub fn attribute(&self, key: &str) -> Option<&'a str> {
        self.batch.attributes.get(self.index, key)
    }

    /// Where it stands in the trace of its own that a followed message has.
    pub(crate) fn message_trace(&self) -> Option<TraceContext> {
        let carried = self.attribute(MESSAGE_TRACEPARENT)?.parse::<Traceparent>();
        carried.ok().map(TraceContext::from)
    }

    /// A span of this name around work on the frame, inside the actor's own span of the message if it is one that is followed, or else of the
    /// batch; nothing when neither is sampled. It ends when the result is dropped.
    pub fn child_span(&self, name: &str) -> OpenSpan {
        self.message_trace()
            .or(self.batch.trace)
            .map(|parent| OpenSpan::child(parent, name, "internal"))
            .unwrap_or_default()
    }

    /// The batch it came in.
    pub fn batch(&self) -> &'a Batch {
        self.batch
    }
}
