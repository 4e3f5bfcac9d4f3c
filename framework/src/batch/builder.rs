//! Builds a batch frame by frame, for plugins and sources that make new bytes.

use std::sync::Arc;

use bytes::Bytes;

use super::{Attributes, Batch, Frame, FrameAttribute, Layout, Numbers, NumbersCursor, pinned_beside};
use crate::receipt::Receipt;
use crate::telemetry::{TraceContext, Wait};

/// Collects frames into one payload. Framing bytes are kept when every frame has the same layout.
#[derive(Debug)]
pub struct BatchBuilder {
    payload: Vec<u8>,
    ends: Vec<u32>,
    layout: Layout,
    numbers: Numbers,
    attributes: Attributes,
}

impl BatchBuilder {
    /// An empty batch of bare frames (no framing bytes), numbered by `numbers`' source and epoch.
    pub fn new(numbers: &Numbers) -> Self {
        Self::with_layout(numbers, Layout::default())
    }

    /// An empty batch whose frames are pushed with the framing bytes of `layout` around them.
    pub fn with_layout(numbers: &Numbers, layout: Layout) -> Self {
        Self {
            payload: Vec::new(),
            ends: Vec::new(),
            layout,
            numbers: numbers.empty(),
            attributes: Attributes::default(),
        }
    }

    /// Attributes that hold for every frame.
    pub fn batch_attributes(&mut self, attributes: Attributes) {
        self.attributes = attributes;
    }

    /// How many frames it holds.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True without any frame.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// What it holds, in bytes: the payload, and the memory of everything beside it.
    pub fn bytes(&self) -> usize {
        self.payload.len() + self.beside()
    }

    fn beside(&self) -> usize {
        pinned_beside(&self.ends, &self.numbers, &self.attributes)
    }

    /// True when one more frame of `bytes` still fits a payload's 4 GiB.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.payload.len().saturating_add(bytes) <= u32::MAX as usize
    }

    /// Makes room for that many more frames and payload bytes: what is made in one piece pins no spare memory.
    pub fn reserve(&mut self, frames: usize, bytes: usize) {
        self.ends.reserve_exact(frames);
        self.payload.reserve_exact(bytes);
    }

    /// Appends a frame with the framing bytes this builder's layout asks for already around it.
    pub fn push_span(&mut self, span: &[u8], number: u64) {
        self.payload.extend_from_slice(span);
        self.ends.push(self.payload.len() as u32);
        self.numbers.push(number);
    }

    /// Appends frames `from .. to` of `batch`, spans, numbers and own attributes, when the layouts agree.
    pub fn push_range(&mut self, batch: &Batch, from: usize, to: usize) {
        self.push_range_by(batch, from, to, &mut batch.numbers.cursor());
    }

    /// [`BatchBuilder::push_range`] for many ranges of one batch: with one cursor over its numbers, ranges taken in order cost
    /// what they hold, not what lies before them.
    pub fn push_range_by(&mut self, batch: &Batch, from: usize, to: usize, numbers: &mut NumbersCursor<'_>) {
        if from >= to {
            return;
        }
        let (start, end) = (batch.span(from).start, batch.span(to - 1).end);
        let shift = self.payload.len() as u32;
        let first = self.ends.len();
        self.payload.extend_from_slice(&batch.payload[start..end]);
        self.ends
            .extend(batch.ends[from..to].iter().map(|at| at - start as u32 + shift));
        numbers.copy_range(from, to, &mut self.numbers);
        for own in batch.attributes.range(from, to) {
            self.attributes.push_frame(FrameAttribute {
                frame: own.frame - from as u32 + first as u32,
                ..own.clone()
            });
        }
    }

    /// Sets an attribute of the frame pushed last.
    pub fn attribute(&mut self, key: &str, value: &str) {
        if let Some(last) = self.ends.len().checked_sub(1) {
            self.attributes.push_frame(FrameAttribute {
                frame: last as u32,
                key: key.to_owned(),
                value: value.to_owned(),
            });
        }
    }

    /// Copies the attributes of one frame onto the frame pushed last.
    pub fn inherit(&mut self, frame: &Frame<'_>) {
        if let Some(last) = self.ends.len().checked_sub(1) {
            self.attributes
                .copy_frame(&frame.batch().attributes, frame.index(), last);
        }
    }

    /// The finished batch.
    pub fn finish(self, received_ns: u64, trace: Option<TraceContext>, receipt: Receipt) -> Batch {
        let pinned = self.payload.capacity() + self.beside();
        Batch {
            payload: Bytes::from(self.payload),
            ends: Arc::new(self.ends),
            layout: self.layout,
            numbers: self.numbers,
            attributes: self.attributes,
            trace,
            received_ns,
            wait: Wait::default(),
            position: None,
            pinned,
            receipt,
        }
    }
}
