//! One output of one batch while it is being filled: which input frames it keeps, and what new bytes it holds.

use std::ops::Range;

use crate::batch::{Batch, BatchBuilder, FrameAttribute};
use crate::receipt::Receipt;

/// Scratch memory that a lane keeps from one batch to the next, in bytes.
const SCRATCH_KEPT_BYTES: usize = 1024 * 1024;

#[derive(Debug, Clone, Copy)]
enum Piece {
    /// Input frames as they are.
    Kept { from: u32, to: u32 },
    /// New bytes in the scratch, in place of an input frame.
    New { start: u32, end: u32, input: u32 },
}

/// What one output gets of one batch.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pieces: Vec<Piece>,
    scratch: Vec<u8>,
    frames: u32,
    attributes: Vec<FrameAttribute>,
}

impl Lane {
    pub(super) fn frames(&self) -> usize {
        self.frames as usize
    }

    /// Bytes of new frames it holds.
    pub(super) fn new_bytes(&self) -> usize {
        self.scratch.len()
    }

    #[inline]
    pub(super) fn keep(&mut self, frames: Range<usize>, pending: &[(String, String)]) {
        let (from, to) = (frames.start as u32, frames.end as u32);
        match self.pieces.last_mut() {
            Some(Piece::Kept { to: end, .. }) if *end == from => *end = to,
            _ => self.pieces.push(Piece::Kept { from, to }),
        }
        self.describe(to - from, pending);
    }

    pub(super) fn push(&mut self, bytes: &[u8], input: u32, pending: &[(String, String)]) {
        let start = self.scratch.len() as u32;
        self.scratch.extend_from_slice(bytes);
        let end = self.scratch.len() as u32;
        self.pieces.push(Piece::New { start, end, input });
        self.describe(1, pending);
    }

    #[inline]
    fn describe(&mut self, count: u32, pending: &[(String, String)]) {
        let first = self.frames;
        self.frames += count;
        if pending.is_empty() {
            return;
        }
        for frame in first..self.frames {
            let own = pending.iter().map(|(key, value)| FrameAttribute {
                frame,
                key: key.clone(),
                value: value.clone(),
            });
            self.attributes.extend(own);
        }
    }

    /// Takes back what the input frames from `index` on emitted.
    pub(super) fn roll_back(&mut self, index: u32) {
        while let Some(last) = self.pieces.last_mut() {
            match last {
                Piece::Kept { from, to } if *to > index => {
                    let keep = index.max(*from);
                    self.frames -= *to - keep;
                    *to = keep;
                    if from == to {
                        self.pieces.pop();
                    } else {
                        break;
                    }
                }
                Piece::New { start, input, .. } if *input >= index => {
                    self.scratch.truncate(*start as usize);
                    self.frames -= 1;
                    self.pieces.pop();
                }
                _ => break,
            }
        }
        let frames = self.frames;
        while self.attributes.pop_if(|own| own.frame >= frames).is_some() {}
    }

    /// Empties it without emitting anything.
    pub(super) fn clear(&mut self) {
        self.pieces.clear();
        self.attributes.clear();
        self.frames = 0;
        self.scratch.clear();
        self.scratch.shrink_to(SCRATCH_KEPT_BYTES);
    }

    /// Turns what it holds into a batch, with a child of the input's receipt, and empties it; none when it holds nothing.
    pub(super) fn emit(&mut self, batch: &Batch) -> Option<Batch> {
        if self.pieces.is_empty() {
            return None;
        }
        let mut receipt = batch.receipt.child();
        if let Some(first) = self.first_input() {
            // What this output was not given does not come again for its sake.
            receipt.done_below(batch.numbers.least_from(first).unwrap_or_default());
        }
        let mut emitted = match self.pieces.as_slice() {
            [Piece::Kept { from: 0, to }] if *to as usize == batch.len() => batch.share(receipt),
            _ => self.assemble(batch, receipt),
        };
        emitted.merge_attributes(std::mem::take(&mut self.attributes));
        self.clear();
        Some(emitted)
    }

    /// The first input frame of which it holds something.
    fn first_input(&self) -> Option<usize> {
        let first = self.pieces.first().map(|piece| match piece {
            Piece::Kept { from, .. } => *from,
            Piece::New { input, .. } => *input,
        });
        first.map(|index| index as usize)
    }

    fn assemble(&self, batch: &Batch, receipt: Receipt) -> Batch {
        let whole = self.pieces.iter().all(|piece| matches!(piece, Piece::Kept { .. }));
        let mut builder = if whole {
            BatchBuilder::with_layout(&batch.numbers, batch.layout.clone())
        } else {
            BatchBuilder::new(&batch.numbers)
        };
        builder.reserve(self.frames(), self.payload_bytes(batch, whole));
        builder.batch_attributes(batch.attributes.batch_only());
        let mut numbers = batch.numbers.cursor();
        for piece in &self.pieces {
            match *piece {
                Piece::Kept { from, to } if whole => {
                    builder.push_range_by(batch, from as usize, to as usize, &mut numbers);
                }
                Piece::Kept { from, to } => {
                    for frame in (from..to).map(|index| batch.frame(index as usize)) {
                        builder.push_span(frame.bytes(), numbers.get(frame.index()).unwrap_or_default());
                        builder.inherit(&frame);
                    }
                }
                Piece::New { start, end, input } => {
                    let bytes = &self.scratch[start as usize..end as usize];
                    builder.push_span(bytes, numbers.get(input as usize).unwrap_or_default());
                    builder.inherit(&batch.frame(input as usize));
                }
            }
        }
        let mut made = builder.finish(batch.received_ns, batch.trace, receipt);
        made.wait = batch.wait;
        made
    }

    /// The length of the payload it will make: exact, so that the batch pins no more than it holds.
    fn payload_bytes(&self, batch: &Batch, whole: bool) -> usize {
        let framing = (batch.layout.head + batch.layout.tail) as usize;
        let pieces = self.pieces.iter().map(|piece| match *piece {
            Piece::Kept { from, to } => {
                let spans = batch.span(to as usize - 1).end - batch.span(from as usize).start;
                let bare = (to - from) as usize * framing;
                if whole { spans } else { spans - bare }
            }
            Piece::New { start, end, .. } => (end - start) as usize,
        });
        pieces.sum()
    }
}
