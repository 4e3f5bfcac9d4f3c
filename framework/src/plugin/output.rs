//! What a processor emits, frame by frame, with rollback of the frame in hand.

use crate::batch::{Batch, BatchBuilder, Frame, FrameAttribute, Numbers};
use crate::error::Error;
use crate::receipt::Receipt;

/// The frames of a batch, handed to a processor one after the other.
pub struct Frames<'a> {
    batch: &'a Batch,
    next: usize,
    end: usize,
}

impl<'a> Frames<'a> {
    /// All frames of `batch`.
    pub fn new(batch: &'a Batch) -> Self {
        Self::between(batch, 0, batch.len())
    }

    /// The frames `from .. to` of `batch`.
    pub(crate) fn between(batch: &'a Batch, from: usize, to: usize) -> Self {
        Self {
            batch,
            next: from,
            end: to.min(batch.len()),
        }
    }

    /// The next frame. What is emitted until the next call belongs to it, and is taken back when it fails.
    pub fn next(&mut self, out: &mut Output) -> Option<Frame<'a>> {
        let frame = (self.next < self.end).then(|| self.batch.frame(self.next))?;
        out.begin(self.next);
        self.next += 1;
        Some(frame)
    }

    /// Index of the frame taken last; 0 before the first.
    pub fn current(&self) -> usize {
        self.next.saturating_sub(1)
    }

    /// The batch they come from.
    pub fn batch(&self) -> &'a Batch {
        self.batch
    }

    /// Frames not taken yet.
    pub fn left(&self) -> usize {
        self.end - self.next
    }
}

#[derive(Debug, Clone, Copy)]
enum Piece {
    /// Input frames as they are.
    Kept { from: u32, to: u32 },
    /// New bytes in the lane's scratch, in place of an input frame.
    New { start: u32, end: u32, input: u32 },
}

#[derive(Debug, Default)]
struct Lane {
    pieces: Vec<Piece>,
    scratch: Vec<u8>,
    frames: u32,
    attributes: Vec<FrameAttribute>,
}

/// Collects what a processor emits for one batch: lane 0 is the main output, then the declared ones, then `rejected`.
#[derive(Debug)]
pub struct Output {
    names: Vec<&'static str>,
    lanes: Vec<Lane>,
    current: u32,
    pending: Vec<(String, String)>,
    unknown: Option<String>,
}

/// The batches one input batch became: index into the output names, and the batch.
pub type Emitted = Vec<(usize, Batch)>;

/// The name of the built-in output for dead letters.
pub const REJECTED: &str = "rejected";

impl Output {
    /// An empty output with the declared names.
    pub fn new(outputs: &[&'static str]) -> Self {
        let names: Vec<_> = std::iter::once("")
            .chain(outputs.iter().copied())
            .chain(std::iter::once(REJECTED))
            .collect();
        Self {
            lanes: names.iter().map(|_| Lane::default()).collect(),
            names,
            current: 0,
            pending: Vec::new(),
            unknown: None,
        }
    }

    /// Output names: main (empty), declared ones, `rejected`.
    pub fn names(&self) -> &[&'static str] {
        &self.names
    }

    /// Emits the frame as it is on the main output.
    pub fn keep(&mut self, frame: Frame<'_>) {
        self.keep_on(0, frame.index());
    }

    /// Emits the frame as it is on a declared output. An undeclared name is reported as an error of this frame.
    pub fn send(&mut self, output: &str, frame: Frame<'_>) {
        if let Some(lane) = self.lane(output) {
            self.keep_on(lane, frame.index());
        }
    }

    /// Emits new bytes on the main output, in place of the frame in hand; it keeps that frame's number.
    pub fn push(&mut self, bytes: &[u8]) {
        self.push_on(0, bytes);
    }

    /// Emits new bytes on a declared output.
    pub fn push_to(&mut self, output: &str, bytes: &[u8]) {
        if let Some(lane) = self.lane(output) {
            self.push_on(lane, bytes);
        }
    }

    /// Sets an attribute of what the frame in hand emits next.
    pub fn attribute(&mut self, key: &str, value: impl AsRef<[u8]>) {
        let value = String::from_utf8_lossy(value.as_ref()).into_owned();
        self.pending.push((key.to_owned(), value));
    }

    /// Frames emitted on the main output so far.
    pub fn len(&self) -> usize {
        self.lanes[0].frames as usize
    }

    /// True when nothing was emitted on the main output.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The error of having named an output that the plugin does not declare, once.
    pub(crate) fn take_misuse(&mut self) -> Option<Error> {
        let name = self.unknown.take()?;
        let known = self.names[1..].join(", ");
        Some(Error::fatal(format!(
            "the plugin sent to the output {name:?}, which it does not declare in OUTPUTS (it declares: {known})"
        )))
    }

    /// Takes back what the frame at `index` (and later ones) emitted.
    pub(crate) fn roll_back(&mut self, index: usize) {
        for lane in &mut self.lanes {
            lane.roll_back(index as u32);
        }
        self.pending.clear();
        self.unknown = None;
    }

    /// Emits the frame at `index` on `rejected`, with the reason.
    pub(crate) fn reject(&mut self, index: usize, actor: &str, reason: &str) {
        self.begin(index);
        self.attribute("aqueduct.rejected.reason", reason);
        self.attribute("aqueduct.rejected.actor", actor);
        self.keep_on(self.lanes.len() - 1, index);
    }

    /// Turns what was emitted into batches, and empties the output. Each carries a child of the input's receipt.
    pub(crate) fn emit(&mut self, batch: &Batch) -> Emitted {
        let lanes = self.lanes.iter_mut().enumerate();
        let emitted = lanes.filter_map(|(index, lane)| Some((index, lane.emit(batch, batch.receipt.child())?)));
        let emitted = emitted.collect();
        self.pending.clear();
        emitted
    }

    fn begin(&mut self, index: usize) {
        self.current = index as u32;
        self.pending.clear();
    }

    fn lane(&mut self, output: &str) -> Option<usize> {
        let lane = self.names.iter().position(|name| *name == output);
        if lane.is_none() {
            self.unknown = Some(output.to_owned());
        }
        lane
    }

    fn keep_on(&mut self, lane: usize, index: usize) {
        let lane = &mut self.lanes[lane];
        let index = index as u32;
        match lane.pieces.last_mut() {
            Some(Piece::Kept { to, .. }) if *to == index => *to = index + 1,
            _ => lane.pieces.push(Piece::Kept {
                from: index,
                to: index + 1,
            }),
        }
        lane.finish_frame(&self.pending);
    }

    fn push_on(&mut self, lane: usize, bytes: &[u8]) {
        let lane = &mut self.lanes[lane];
        let start = lane.scratch.len() as u32;
        lane.scratch.extend_from_slice(bytes);
        lane.pieces.push(Piece::New {
            start,
            end: lane.scratch.len() as u32,
            input: self.current,
        });
        lane.finish_frame(&self.pending);
    }
}

impl Lane {
    fn finish_frame(&mut self, pending: &[(String, String)]) {
        for (key, value) in pending {
            self.attributes.push(FrameAttribute {
                frame: self.frames,
                key: key.clone(),
                value: value.clone(),
            });
        }
        self.frames += 1;
    }

    fn roll_back(&mut self, index: u32) {
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
        self.attributes.retain(|attribute| attribute.frame < self.frames);
    }

    fn emit(&mut self, batch: &Batch, receipt: Receipt) -> Option<Batch> {
        let lane = std::mem::take(self);
        let mut emitted = match lane.pieces.as_slice() {
            [] => {
                receipt.settle(crate::receipt::Fate::Delivered);
                return None;
            }
            [Piece::Kept { from: 0, to }] if *to as usize == batch.len() => batch.share(receipt),
            pieces => lane.assemble(pieces, batch, receipt),
        };
        for attribute in lane.attributes {
            emitted.attributes.push_frame(attribute);
        }
        Some(emitted)
    }

    fn assemble(&self, pieces: &[Piece], batch: &Batch, receipt: Receipt) -> Batch {
        let whole = pieces.iter().all(|piece| matches!(piece, Piece::Kept { .. }));
        let mut builder = if whole {
            BatchBuilder::with_layout(&batch.numbers, batch.layout.clone())
        } else {
            BatchBuilder::new(&batch.numbers)
        };
        builder.batch_attributes(batch.attributes.batch_only());
        for piece in pieces {
            match *piece {
                Piece::Kept { from, to } if whole => builder.push_range(batch, from as usize, to as usize),
                Piece::Kept { from, to } => (from..to).for_each(|index| push_bare(&mut builder, batch, index)),
                Piece::New { start, end, input } => {
                    let bytes = &self.scratch[start as usize..end as usize];
                    builder.push_span(bytes, number(&batch.numbers, input));
                    builder.inherit(&batch.frame(input as usize));
                }
            }
        }
        builder.finish(batch.received_ns, batch.trace, receipt)
    }
}

fn push_bare(builder: &mut BatchBuilder, batch: &Batch, index: u32) {
    let frame = batch.frame(index as usize);
    builder.push_span(frame.bytes(), frame.number());
    builder.inherit(&frame);
}

fn number(numbers: &Numbers, index: u32) -> u64 {
    numbers.get(index as usize).unwrap_or_default()
}
