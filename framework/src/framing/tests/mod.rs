//! Frames through the public interface: a stream in pieces goes in as a reader would give it.

mod config;
mod encode;
mod oversize;
mod splits;

use serde_json::{Value, json};

use super::*;
use crate::error::Result;

/// A connection: its cutter, and the frames that came out of it.
struct Stream {
    cutter: Cutter,
    frames: Vec<Vec<u8>>,
    spans: usize,
}

impl Stream {
    fn new(name: &str, settings: Value) -> Self {
        Self::limited(name, settings, Limits::default())
    }

    fn limited(name: &str, settings: Value, limits: Limits) -> Self {
        Self::over(build(name, settings).unwrap(), limits)
    }

    fn over(framing: Box<dyn DynFraming>, limits: Limits) -> Self {
        Self {
            cutter: Cutter::new(framing, limits).unwrap(),
            frames: Vec::new(),
            spans: 0,
        }
    }

    fn read(&mut self, bytes: &[u8]) -> Result<()> {
        let mut input = self.cutter.lead().to_vec();
        let lead = input.len();
        assert!(lead <= LEAD_BYTES);
        input.extend_from_slice(bytes);
        let mut cuts = Vec::new();
        let result = self.cutter.cut(&input, lead, &mut cuts);
        for cut in cuts {
            self.take(&input, &cut);
        }
        result
    }

    fn take(&mut self, input: &[u8], cut: &Cut) {
        let layout = self.cutter.layout();
        let payload = match &cut.payload {
            Payload::Input(range) => &input[range.clone()],
            Payload::Aside(bytes) => bytes,
        };
        assert_eq!(cut.ends.last().map(|end| *end as usize), Some(payload.len()));
        let mut start = 0;
        for end in cut.ends.iter().map(|end| *end as usize) {
            let frame = start + layout.head as usize..end - layout.tail as usize;
            self.frames.push(payload[frame].to_vec());
            self.spans += end - start;
            start = end;
        }
    }

    fn finish(&mut self) {
        if let Some(cut) = self.cutter.finish() {
            self.take(&[], &cut);
        }
    }

    /// All of `stream`, in reads of at most `size` bytes.
    fn read_in_pieces(&mut self, stream: &[u8], size: usize) {
        for piece in stream.chunks(size) {
            self.read(piece).unwrap();
        }
    }

    fn counters(&self) -> Counters {
        self.cutter.counters()
    }
}

/// Every framing with boundaries, with frames that it can carry.
fn framings() -> Vec<(&'static str, Value, Vec<&'static [u8]>)> {
    let texts: Vec<&[u8]> = vec![b"one", b"", b"three and more", b"-", b"\r", b"ab", b"the end"];
    let mut all: Vec<(&'static str, Value, Vec<&'static [u8]>)> = vec![
        ("delimited", json!({}), texts.clone()),
        ("delimited", json!({ "delimiter": "\0" }), texts.clone()),
        ("delimited", json!({ "delimiter": "\r\n" }), texts.clone()),
        ("delimited", json!({ "delimiter": "abac" }), texts.clone()),
        ("delimited", json!({ "delimiter_hex": "00ff00fe" }), texts.clone()),
        (
            "delimited",
            json!({ "delimiter": "--", "keep": true }),
            vec![b"one--", b"--", b"\n--"],
        ),
        ("fixed", json!({ "bytes": 5 }), vec![b"12345", b"\n\n\n\n\n", b"abcde"]),
        ("fixed", json!({ "bytes": 1 }), vec![b"1", b"2", b"3"]),
    ];
    for header_bytes in [1, 2, 4, 8] {
        for endian in ["big", "little"] {
            for header_included in [false, true] {
                let settings =
                    json!({ "header_bytes": header_bytes, "endian": endian, "header_included": header_included });
                all.push(("length_delimited", settings, texts.clone()));
            }
        }
    }
    all
}

fn written(framing: &dyn DynFraming, frames: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut stream = Vec::new();
    for frame in frames {
        framing.encode(frame.as_ref(), &mut stream).unwrap();
    }
    stream
}
