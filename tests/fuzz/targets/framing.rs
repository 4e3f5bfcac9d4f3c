//! Framing: whatever a peer sends, however it is split.

use aqueduct::framework::framing::{Counters, Cut, Cutter, Limits, OnOversize, Payload, build};
use serde_json::json;

/// The first byte chooses the framing, the second the sizes of reads; the rest is the stream.
pub(crate) fn framing(data: &[u8]) {
    let [which, split, stream @ ..] = data else { return };
    let whole = read(*which, stream, |_| usize::MAX);
    let mut sizes = u32::from(*split) + 1;
    let split = read(*which, stream, |_| {
        // A few bytes, then many: what a network might do.
        sizes = sizes.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        1 + (sizes >> 16) as usize % if sizes & 1 == 0 { 4 } else { 40 }
    });
    // The framing `none` makes a frame of every read.
    if *which % FRAMINGS != FRAMINGS - 1 {
        assert_eq!(whole.frames, split.frames, "frames depend on how the stream was split");
    }
    for outcome in [&whole, &split] {
        assert!(outcome.accounts_for(stream.len()), "bytes are missing: {outcome:?}");
    }
}

const FRAMINGS: u8 = 8;

#[derive(Debug, Default)]
struct Outcome {
    frames: Vec<Vec<u8>>,
    cut_bytes: u64,
    added_bytes: u64,
    counters: Counters,
    ended: bool,
}

impl Outcome {
    /// Every byte of the stream is in a frame or counted.
    fn accounts_for(&self, bytes: usize) -> bool {
        let known = self.cut_bytes + self.counters.discarded_bytes + self.counters.truncated_bytes;
        self.ended || known == bytes as u64 + self.added_bytes
    }
}

fn cutter(which: u8) -> Cutter {
    let (name, options) = match which % FRAMINGS {
        0 => ("delimited", json!({})),
        1 => ("delimited", json!({ "delimiter": "\r\n" })),
        2 => ("delimited", json!({ "delimiter": "aab", "keep": true })),
        3 => ("fixed", json!({ "bytes": 5 })),
        4 => ("length_delimited", json!({ "header_bytes": 1 })),
        5 => (
            "length_delimited",
            json!({ "header_bytes": 2, "endian": "little", "header_included": true }),
        ),
        6 => ("length_delimited", json!({ "header_bytes": 8 })),
        _ => ("none", json!({})),
    };
    let limits = Limits {
        max_frame_bytes: 64,
        on_oversize: if which & 0x80 == 0 {
            OnOversize::Discard
        } else {
            OnOversize::Close
        },
    };
    let framing = build(name, options).expect("good options");
    Cutter::new(framing, limits).expect("frames of it are shorter than the limit")
}

fn read(which: u8, mut stream: &[u8], mut size: impl FnMut(usize) -> usize) -> Outcome {
    let (mut cutter, mut outcome) = (cutter(which), Outcome::default());
    while !stream.is_empty() {
        let (read, rest) = stream.split_at(size(stream.len()).min(stream.len()));
        let mut input = cutter.lead().to_vec();
        let lead = input.len();
        input.extend_from_slice(read);
        let mut cuts = Vec::new();
        let result = cutter.cut(&input, lead, &mut cuts);
        cuts.into_iter()
            .for_each(|cut| take(&mut outcome, cut, &input, &cutter));
        if result.is_err() {
            // The connection is closed here; what a larger read held behind is counted, what was never read is not.
            outcome.ended = true;
            outcome.counters = cutter.counters();
            return outcome;
        }
        assert!(
            cutter.partial_bytes() <= 64 + 300,
            "an unfinished frame grows without end"
        );
        stream = rest;
    }
    let before = outcome.cut_bytes;
    let rest = cutter.partial_bytes() as u64;
    if let Some(cut) = cutter.finish() {
        take(&mut outcome, cut, &[], &cutter);
        // A last line gets the delimiter that it lacked.
        outcome.added_bytes = (outcome.cut_bytes - before).saturating_sub(rest);
    }
    outcome.counters = cutter.counters();
    outcome
}

fn take(outcome: &mut Outcome, cut: Cut, input: &[u8], cutter: &Cutter) {
    let payload = match &cut.payload {
        Payload::Input(range) => &input[range.clone()],
        Payload::Aside(bytes) => bytes,
    };
    let (head, tail) = (cutter.layout().head as usize, cutter.layout().tail as usize);
    let mut start = 0;
    for end in cut.ends {
        let end = end as usize;
        assert!(start + head + tail <= end, "a frame is shorter than its framing");
        let frame = &payload[start + head..end - tail];
        assert!(frame.len() <= 64 + 3, "a frame is longer than the limit");
        outcome.frames.push(frame.to_vec());
        start = end;
    }
    assert_eq!(start, payload.len(), "the last frame ends with the payload");
    outcome.cut_bytes += payload.len() as u64;
}
