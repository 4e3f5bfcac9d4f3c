//! Runs a framing on bytes, cut in every way that a network may cut them.

use std::marker::PhantomData;

use super::frames::limits_and_rest;
use super::watched::must;
use crate::error::Result;
use crate::framing::{Cut, Cutter, DynFraming, Framing, Payload, boxed};

/// A test of the framing `F` with these options, in TOML; `max_frame_bytes` and `on_oversize` may be among them.
pub fn framing<F: Framing>(options: &str) -> FramingKit<F> {
    FramingKit {
        options: options.to_owned(),
        plugin: PhantomData,
    }
}

/// A framing about to be run.
#[derive(Debug, Clone)]
#[must_use = "it does nothing before `decode` or `encode`"]
pub struct FramingKit<F> {
    options: String,
    plugin: PhantomData<F>,
}

impl<F: Framing> FramingKit<F> {
    /// Cuts `stream` as a pipeline does: in one read, in every two reads, and byte by byte. The stream ends behind it.
    ///
    /// # Panics
    /// When the options do not fit, or it makes a difference how the stream was read.
    #[track_caller]
    pub fn decode(&self, stream: impl AsRef<[u8]>) -> Decoded {
        must(self.try_decode(stream.as_ref()))
    }

    pub(super) fn try_decode(&self, stream: &[u8]) -> Result<Decoded, String> {
        let text = |error: crate::error::Error| error.to_string();
        let whole = self.read(&[stream]).map_err(text)?;
        let differs = |how: &str, other: &Decoded| {
            let stream = String::from_utf8_lossy(stream);
            format!(
                "the stream {stream:?} gives {whole:?} in one read, but {other:?} {how}; what `decode` finds must not depend on how the stream was read"
            )
        };
        for at in 1..stream.len() {
            let parted = self.read(&[&stream[..at], &stream[at..]]).map_err(text)?;
            if !parted.agrees(&whole) {
                return Err(differs(&format!("when it is parted at byte {at}"), &parted));
            }
        }
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        let single = self.read(&bytes).map_err(text)?;
        if single.agrees(&whole) {
            Ok(whole)
        } else {
            Err(differs("byte by byte", &single))
        }
    }

    /// The bytes of `frame` in this framing.
    ///
    /// # Panics
    /// When the options do not fit, or it refuses the frame.
    #[track_caller]
    pub fn encode(&self, frame: impl AsRef<[u8]>) -> Vec<u8> {
        must(self.try_encode(frame.as_ref()))
    }

    /// Like [`FramingKit::encode`], for what is meant to be refused.
    ///
    /// # Errors
    /// What `new` or `encode` returns.
    pub fn try_encode(&self, frame: &[u8]) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        self.build()?.encode(frame, &mut out)?;
        Ok(out)
    }

    /// Encodes these frames one behind the other, and decodes the stream.
    ///
    /// # Panics
    /// When the options do not fit, a frame is refused, or other frames come back.
    #[track_caller]
    pub fn round_trip<T: AsRef<[u8]>>(&self, frames: impl IntoIterator<Item = T>) {
        let frames: Vec<Vec<u8>> = frames.into_iter().map(|frame| frame.as_ref().to_vec()).collect();
        must(self.try_round_trip(&frames));
    }

    pub(super) fn try_round_trip(&self, frames: &[Vec<u8>]) -> Result<(), String> {
        let mut stream = Vec::new();
        for frame in frames {
            stream.extend(self.try_encode(frame).map_err(|error| error.to_string())?);
        }
        let decoded = self.try_decode(&stream)?;
        let sent: Vec<_> = frames.iter().map(|frame| String::from_utf8_lossy(frame)).collect();
        let same = decoded.frames == frames && decoded.refused.is_none() && decoded.truncated_bytes == 0;
        same.then_some(()).ok_or_else(|| {
            format!("`encode` wrote the frames {sent:?}, and `decode` found {decoded:?}; it must find the same ones")
        })
    }

    pub(super) fn build(&self) -> Result<Box<dyn DynFraming>> {
        boxed::<F>(limits_and_rest(&self.options)?.1)
    }

    /// Cuts a stream that comes in these reads.
    fn read(&self, reads: &[&[u8]]) -> Result<Decoded> {
        let (limits, settings) = limits_and_rest(&self.options)?;
        let mut cutter = Cutter::new(boxed::<F>(settings)?, limits)?;
        let mut decoded = Decoded::default();
        for read in reads {
            let lead = cutter.lead().to_vec();
            let input = [&lead, *read].concat();
            let mut cuts = Vec::new();
            let outcome = cutter.cut(&input, lead.len(), &mut cuts);
            decoded.take(&cutter, &input, &cuts);
            if let Err(error) = outcome {
                decoded.refused = Some(error.to_string());
                break;
            }
        }
        if decoded.refused.is_none() {
            let last: Vec<_> = cutter.finish().into_iter().collect();
            decoded.take(&cutter, &[], &last);
        }
        let counters = cutter.counters();
        decoded.oversized = counters.discarded_frames;
        decoded.truncated_bytes = counters.truncated_bytes;
        Ok(decoded)
    }
}

/// What a framing found in a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decoded {
    /// The frames, in order.
    pub frames: Vec<Vec<u8>>,
    /// Frames longer than `max_frame_bytes`, which were left out.
    pub oversized: u64,
    /// Bytes of a frame that the end of the stream, or its refusal, left unfinished.
    pub truncated_bytes: u64,
    /// Why the stream was refused: the connection would be closed. None when it was followed to its end.
    pub refused: Option<String>,
}

impl Decoded {
    /// The frames as text; bytes that are no UTF-8 become U+FFFD.
    pub fn texts(&self) -> Vec<String> {
        let text = |frame: &Vec<u8>| String::from_utf8_lossy(frame).into_owned();
        self.frames.iter().map(text).collect()
    }

    /// The same outcome. How much of a refused stream was seen depends on its reads.
    fn agrees(&self, other: &Self) -> bool {
        let truncated = self.refused.is_some() || self.truncated_bytes == other.truncated_bytes;
        truncated && self.frames == other.frames && self.oversized == other.oversized && self.refused == other.refused
    }

    fn take(&mut self, cutter: &Cutter, input: &[u8], cuts: &[Cut]) {
        let layout = cutter.layout();
        for cut in cuts {
            let payload = match &cut.payload {
                Payload::Input(range) => &input[range.clone()],
                Payload::Aside(bytes) => bytes,
            };
            let mut start = 0;
            for end in &cut.ends {
                let span = &payload[start..*end as usize];
                self.frames
                    .push(span[layout.head as usize..span.len() - layout.tail as usize].to_vec());
                start = *end as usize;
            }
        }
    }
}
