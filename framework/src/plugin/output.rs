//! What a processor emits, frame by frame, with rollback of the frame in hand.

use std::ops::Range;

use super::hold::HeldFrames;
use super::lane::Lane;
use super::rejection::Rejection;
use crate::batch::{Batch, Frame};
use crate::error::Error;

/// Bytes of new frames that one output takes for one batch; a plugin that emits more fails there. Offsets in a payload are 32 bits wide.
pub const NEW_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// The name of the built-in output for dead letters.
pub const REJECTED: &str = "rejected";

/// The batches one input batch became: index into the output names, and the batch.
pub type Emitted = Vec<(usize, Batch)>;

/// Collects what a processor emits for one batch: lane 0 is the main output, then the declared ones, then `rejected`.
#[derive(Debug)]
pub struct Output {
    names: Vec<&'static str>,
    lanes: Vec<Lane>,
    current: u32,
    pending: Vec<(String, String)>,
    misuse: Option<String>,
    held: HeldFrames,
}

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
            misuse: None,
            held: HeldFrames::default(),
        }
    }

    /// The same for a plugin that says it holds frames back.
    pub(crate) fn holding(mut self, may: bool) -> Self {
        self.held.may = may;
        self
    }

    /// Output names: main (empty), declared ones, `rejected`.
    pub fn names(&self) -> &[&'static str] {
        &self.names
    }

    /// Emits the frame in hand as it is on the main output. Any other frame is a mistake of the plugin, which stops it.
    #[inline]
    pub fn keep(&mut self, frame: Frame<'_>) {
        self.keep_on(0, frame.index());
    }

    /// Emits the frame in hand as it is on a declared output. An undeclared name is a mistake of the plugin, which stops it.
    #[inline]
    pub fn send(&mut self, output: &str, frame: Frame<'_>) {
        if let Some(lane) = self.lane(output) {
            self.keep_on(lane, frame.index());
        }
    }

    /// Emits new bytes on the main output, in place of the frame in hand; it keeps that frame's number.
    pub fn push(&mut self, bytes: &[u8]) {
        self.push_on(0, bytes);
    }

    /// Emits new bytes on a declared output, in place of the frame in hand. At most [`NEW_BYTES_MAX`] for one batch.
    pub fn push_to(&mut self, output: &str, bytes: &[u8]) {
        if let Some(lane) = self.lane(output) {
            self.push_on(lane, bytes);
        }
    }

    /// Sets an attribute of what the frame in hand emits next, over one of the same key that it already had.
    pub fn attribute(&mut self, key: &str, value: impl AsRef<[u8]>) {
        let value = String::from_utf8_lossy(value.as_ref()).into_owned();
        match self.pending.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => *old = value,
            None => self.pending.push((key.to_owned(), value)),
        }
    }

    /// Says that the plugin keeps what it needs of the frame in hand and will emit it later, from [`Processor::tick`](super::Processor::tick) or from
    /// a later frame. Until then the frame's batch is not settled: after a crash it comes again. A plugin without
    /// [`Processor::holds`](super::Processor::holds) may not; that is a mistake, which stops it.
    pub fn hold(&mut self, frame: Frame<'_>) {
        if !self.held.may {
            self.blame("the plugin held a frame back, but its `holds` says that it never does".into());
        } else if frame.index() as u32 == self.current {
            self.held.hold(self.current);
        } else {
            self.blame("the plugin held a frame other than the one in hand".into());
        }
    }

    /// Says that all frames held before the one in hand went into what this batch emits, or are of no use any more: they are settled when
    /// what this batch emits is. All of them or none: a plugin that parts with them one by one says it when the last one goes. Of no
    /// meaning in [`Processor::tick`](super::Processor::tick), which lets go of everything.
    pub fn release(&mut self) {
        self.held.release(self.current);
    }

    /// Frames emitted on the main output so far.
    pub fn len(&self) -> usize {
        self.lanes[0].frames()
    }

    /// True when nothing was emitted on the main output.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A mistake of the plugin, once: an output it does not declare, a frame not in hand, more bytes than one batch takes.
    pub(crate) fn take_misuse(&mut self) -> Option<Error> {
        self.misuse.take().map(Error::fatal)
    }

    /// Takes back what the frame at `index` (and later ones) emitted.
    pub(crate) fn roll_back(&mut self, index: usize) {
        for lane in &mut self.lanes {
            lane.roll_back(index as u32);
        }
        self.pending.clear();
        self.misuse = None;
        self.held.roll_back(index as u32);
    }

    /// Emits the frame at `index` on `rejected`, with what is known of the rejection.
    pub(crate) fn reject(&mut self, index: usize, rejection: &Rejection<'_>) {
        self.begin(index);
        for (key, value) in rejection.attributes() {
            self.attribute(key, value);
        }
        self.keep_on(self.lanes.len() - 1, index);
    }

    /// Turns what was emitted into batches, and empties the output. Each carries a child of the input's receipt.
    pub(crate) fn emit(&mut self, batch: &Batch) -> Emitted {
        let lanes = self.lanes.iter_mut().enumerate();
        let emitted = lanes.filter_map(|(index, lane)| Some((index, lane.emit(batch)?)));
        let emitted = emitted.collect();
        self.pending.clear();
        emitted
    }

    /// Forgets everything: the batch in hand is given up.
    pub(crate) fn clear(&mut self) {
        self.lanes.iter_mut().for_each(Lane::clear);
        self.pending.clear();
        self.misuse = None;
        self.held.clear();
    }

    /// What the batch in hand holds back and lets go of.
    pub(crate) fn held(&mut self) -> &mut HeldFrames {
        &mut self.held
    }

    /// True when nothing at all was emitted.
    pub(crate) fn emitted_nothing(&self) -> bool {
        self.lanes.iter().all(|lane| lane.frames() == 0)
    }

    #[inline]
    pub(crate) fn begin(&mut self, index: usize) {
        self.current = index as u32;
        self.pending.clear();
    }

    pub(super) fn keep_all(&mut self, frames: Range<usize>) {
        if !frames.is_empty() {
            self.lanes[0].keep(frames, &[]);
        }
    }

    pub(super) fn send_all(&mut self, output: &str, frames: Range<usize>) {
        if let Some(lane) = self.lane(output).filter(|_| !frames.is_empty()) {
            self.lanes[lane].keep(frames, &[]);
        }
    }

    fn lane(&mut self, output: &str) -> Option<usize> {
        let lane = self.names.iter().position(|name| *name == output);
        if lane.is_none() {
            let known = self.names[1..].join(", ");
            self.blame(format!(
                "the plugin sent to the output {output:?}, which it does not declare in OUTPUTS (it declares: {known})"
            ));
        }
        lane
    }

    #[inline]
    fn keep_on(&mut self, lane: usize, index: usize) {
        if index as u32 == self.current {
            self.lanes[lane].keep(index..index + 1, &self.pending);
        } else {
            self.blame(
                "the plugin emitted a frame other than the one in hand; finish each before taking the next".into(),
            );
        }
    }

    fn push_on(&mut self, lane: usize, bytes: &[u8]) {
        if self.lanes[lane].new_bytes().saturating_add(bytes.len()) > NEW_BYTES_MAX {
            let name = self.names[lane];
            self.blame(format!(
                "the plugin made more than {NEW_BYTES_MAX} new bytes for its output {name:?} out of one batch; let it emit less per frame"
            ));
        } else {
            self.lanes[lane].push(bytes, self.current, &self.pending);
        }
    }

    #[cold]
    fn blame(&mut self, mistake: String) {
        self.misuse.get_or_insert(mistake);
    }
}
