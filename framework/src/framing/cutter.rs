//! The pure state machine between the reads of a connection and its frames.
//!
//! ```text
//!             too long, header says how much     those bytes are gone
//!   Frame ------------------------------> Skip ------------------.
//!     | ^                                                        |
//!     | '--------------------------------------------------------'
//!     | too long, no header                the next frame's begin is found
//!     '------------------------------> Resync ---> Frame
//! ```
//! The unfinished frame waits in `kept`. Up to [`LEAD_BYTES`] the reader copies it in front of its next read, so that
//! all frames of that read lie in one buffer. A longer one stays aside and grows here, or each small read would copy it again.

mod steps;

use std::ops::Range;

use steps::Progress;

use super::{DynFraming, Limits, MOST_FRAME_BYTES};
use crate::batch::Layout;
use crate::error::{Error, Result};

/// The longest unfinished frame that the reader puts in front of its next read, in bytes; longer ones are kept aside.
pub const LEAD_BYTES: usize = 16 * 1024;

/// The longest `input` of one [`Cutter::cut`], in bytes, so that every offset fits a `u32`.
const MOST_INPUT_BYTES: usize = 1 << 30;

/// Frames that lie together: what one batch is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Where their bytes are, framing bytes included.
    pub payload: Payload,
    /// Where each frame ends, counted from the payload's begin; ascending, never empty.
    pub ends: Vec<u32>,
}

impl Cut {
    /// Its length, in bytes, framing bytes included.
    pub fn bytes(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0).into()
    }
}

/// The bytes of a [`Cut`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// A part of the `input` that was given to [`Cutter::cut`].
    Input(Range<usize>),
    /// Bytes that had been kept aside.
    Aside(Vec<u8>),
}

/// What a cutter did not turn into frames, since it was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Frames longer than `max_frame_bytes`.
    pub discarded_frames: u64,
    /// Their bytes, as far as they have come, framing bytes included.
    pub discarded_bytes: u64,
    /// Bytes of a frame that the stream's end, or an error in the stream, left unfinished.
    pub truncated_bytes: u64,
}

impl Counters {
    fn known_bytes(&self) -> u64 {
        self.discarded_bytes + self.truncated_bytes
    }
}

/// Cuts the byte stream of one connection into frames: no I/O, no clock.
///
/// Memory: one unfinished frame, so at most `max_frame_bytes` and one read, growing with what has come, never by a
/// length that the peer claims.
pub struct Cutter {
    framing: Box<dyn DynFraming>,
    limits: Limits,
    layout: Layout,
    /// `max_frame_bytes` and the framing's own bytes.
    longest_span: u64,
    state: State,
    kept: Vec<u8>,
    ends: Vec<u32>,
    counters: Counters,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// `kept` is the begin of a frame that will have `needs` bytes, if that is known yet.
    Frame { needs: Option<u64> },
    /// The next `left` bytes belong to an oversized frame.
    Skip { left: u64 },
    /// In an oversized frame without known length; `kept` are its last bytes.
    Resync,
}

const FRESH: State = State::Frame { needs: None };

impl Cutter {
    /// A cutter at the begin of a stream.
    ///
    /// # Errors
    /// When no frame could ever pass: `max_frame_bytes` is out of its bounds, or shorter than every frame of this framing.
    pub fn new(mut framing: Box<dyn DynFraming>, limits: Limits) -> Result<Self> {
        let max = limits.max_frame_bytes;
        if !(1..=MOST_FRAME_BYTES).contains(&max) {
            return Err(Error::fatal(format!(
                "`max_frame_bytes` is {max}; give it 1 to {MOST_FRAME_BYTES} bytes"
            )));
        }
        let (head, tail) = framing.overhead();
        let longest_span = max + u64::from(head) + u64::from(tail);
        let every_frame = framing.decode(&[], 0, &mut Vec::new())?.needs;
        if let Some(needs) = every_frame.filter(|needs| *needs > longest_span) {
            return Err(Error::fatal(format!(
                "every frame of the framing {} has {needs} bytes, but `max_frame_bytes` is {max}; raise it",
                framing.name()
            )));
        }
        let wire = framing.wire();
        Ok(Self {
            framing,
            limits,
            layout: Layout { head, tail, wire },
            longest_span,
            state: FRESH,
            kept: Vec::new(),
            ends: Vec::new(),
            counters: Counters::default(),
        })
    }

    /// What the reader must put in front of the bytes it reads next: at most [`LEAD_BYTES`], often nothing.
    pub fn lead(&self) -> &[u8] {
        if self.is_aside() { &[] } else { &self.kept }
    }

    /// How long a frame may be, and what happens to a longer one.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// How the framing's own bytes lie around every frame.
    pub fn layout(&self) -> Layout {
        self.layout.clone()
    }

    /// Bytes of an unfinished frame in memory, lead or aside.
    pub fn partial_bytes(&self) -> usize {
        self.kept.len()
    }

    /// What did not become frames so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Cuts `input`: [`lead`](Cutter::lead), whose length is given again as `lead`, and the bytes read behind it. Appends
    /// to `cuts` what became complete, in order; the rest is kept. Usually that is one cut of a part of `input`; there are
    /// more around discarded frames and frames kept aside. Frames do not depend on how the stream was split into reads.
    ///
    /// # Errors
    /// When a frame is too long under `on_oversize = "close"`, or the framing cannot follow the stream: close the
    /// connection. The cuts made before are whole and stand; all that came behind them is counted.
    pub fn cut(&mut self, input: &[u8], lead: usize, cuts: &mut Vec<Cut>) -> Result<()> {
        if input.len() > MOST_INPUT_BYTES || lead != self.lead().len() || input.len() < lead {
            return Err(Error::fatal(format!(
                "a cutter was given {} bytes, {lead} of them its lead; its lead is {} bytes, and it takes at most {MOST_INPUT_BYTES}",
                input.len(),
                self.lead().len()
            )));
        }
        let known = self.counters.known_bytes() + self.unfinished_bytes();
        let first = cuts.len();
        let result = self.cut_all(Progress::new(input, lead, self.is_aside()), cuts);
        if result.is_err() {
            let new = (input.len() - lead) as u64;
            let cut: u64 = cuts[first..].iter().map(Cut::bytes).sum();
            self.counters.truncated_bytes += (known + new).saturating_sub(cut + self.counters.known_bytes());
            self.kept = Vec::new();
            self.state = FRESH;
        }
        result
    }

    fn cut_all(&mut self, mut progress: Progress<'_>, cuts: &mut Vec<Cut>) -> Result<()> {
        while !progress.is_done() {
            match self.state {
                State::Skip { left } => self.skip(left, &mut progress),
                State::Resync => self.resync(&mut progress),
                State::Frame { needs } if progress.aside => self.cut_aside(needs, &mut progress, cuts)?,
                State::Frame { needs } => self.cut_input(needs, &mut progress, cuts)?,
            }
        }
        Ok(())
    }

    /// The stream has ended: its last frame, if what is left is one. Otherwise the rest is counted as truncated.
    pub fn finish(&mut self) -> Option<Cut> {
        let max = self.longest_span;
        let mut bytes = Vec::new();
        let is_frame = self.unfinished_bytes() > 0
            && self.framing.rest_is_frame()
            && self.framing.encode(&self.kept, &mut bytes).is_ok();
        if !is_frame {
            self.abandon();
            return None;
        }
        self.state = FRESH;
        let rest = std::mem::take(&mut self.kept);
        if bytes.len() as u64 > max {
            self.counters.discarded_frames += 1;
            self.counters.discarded_bytes += rest.len() as u64;
            return None;
        }
        let ends = vec![bytes.len() as u32];
        let payload = Payload::Aside(bytes);
        Some(Cut { payload, ends })
    }

    /// [`Cutter::finish`] when what is left may be a frame, else [`Cutter::abandon`].
    pub fn finish_if(&mut self, may_be_frame: bool) -> Option<Cut> {
        if may_be_frame {
            return self.finish();
        }
        self.abandon();
        None
    }

    /// The stream broke off, as by a reset: what is left is no frame and counted as truncated.
    pub fn abandon(&mut self) {
        self.counters.truncated_bytes += self.unfinished_bytes();
        self.kept = Vec::new();
        self.state = FRESH;
    }

    fn is_aside(&self) -> bool {
        self.kept.len() > LEAD_BYTES
    }

    /// Bytes in hand that no counter knows yet.
    fn unfinished_bytes(&self) -> u64 {
        match self.state {
            State::Frame { .. } => self.kept.len() as u64,
            State::Skip { .. } | State::Resync => 0,
        }
    }
}
