//! A letter: a frame as the sink `file` writes it in a line of JSON, and its way back into a batch.

use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

use aqueduct_framework::batch::{Batch, BatchBuilder, Numbers};
use aqueduct_framework::receipt::Receipt;
use aqueduct_framework::telemetry::{TraceContext, Traceparent};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// What a frame that was a dead letter says of that: as attributes, because now it is none.
const REASON: &str = "aqueduct.replayed.reason";
const ACTOR: &str = "aqueduct.replayed.actor";
const TIME: &str = "aqueduct.replayed.time";
const TRACE_ID: &str = "aqueduct.replayed.trace_id";

/// A batch is sent when it has this many bytes, attributes and numbers among them.
const BATCH_BYTES: usize = 64 * 1024;

/// As it is written. Members that are not known are passed over.
#[derive(Debug, Deserialize)]
struct Written {
    source: String,
    epoch: u64,
    seq: u64,
    received: String,
    trace_id: Option<String>,
    span_id: Option<String>,
    rejected: Option<Rejected>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    text: Option<String>,
    base64: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Rejected {
    reason: String,
    actor: Option<String>,
    time: Option<String>,
    trace_id: Option<String>,
}

/// A frame with all that was kept of it.
#[derive(Debug)]
pub(super) struct Letter {
    of: Of,
    seq: u64,
    attributes: BTreeMap<String, String>,
    bytes: Vec<u8>,
}

/// What the frames of a batch have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Of {
    source: String,
    epoch: u64,
    received_ns: u64,
    trace: Option<TraceContext>,
}

impl Letter {
    /// Reads a line. The error says why it is none.
    pub(super) fn read(line: &[u8], max_frame_bytes: u64) -> Result<Self, String> {
        let written: Written = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let received = humantime::parse_rfc3339(&written.received).map_err(|error| format!("`received`: {error}"))?;
        let since = received.duration_since(UNIX_EPOCH).unwrap_or_default();
        let bytes = match (written.text, written.base64) {
            (Some(text), None) => text.into_bytes(),
            (None, Some(base64)) => STANDARD.decode(base64).map_err(|error| format!("`base64`: {error}"))?,
            _ => return Err("it must have `text` or `base64`".to_owned()),
        };
        if bytes.len() as u64 > max_frame_bytes {
            let length = bytes.len();
            return Err(format!(
                "its frame has {length} bytes, and `max_frame_bytes` is {max_frame_bytes}"
            ));
        }
        // Whatever counts on from it would begin anew.
        if written.seq == u64::MAX {
            return Err(format!("`seq` {} is more than any frame's number", written.seq));
        }
        let mut attributes = written.attributes;
        attributes.extend(written.rejected.into_iter().flat_map(Rejected::attributes));
        Ok(Self {
            of: Of {
                source: written.source,
                epoch: written.epoch,
                received_ns: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
                trace: trace(written.trace_id.as_deref(), written.span_id.as_deref()),
            },
            seq: written.seq,
            attributes,
            bytes,
        })
    }
}

impl Rejected {
    fn attributes(self) -> impl Iterator<Item = (String, String)> {
        let all = [
            (REASON, Some(self.reason)),
            (ACTOR, self.actor),
            (TIME, self.time),
            (TRACE_ID, self.trace_id),
        ];
        all.into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?)))
    }
}

/// None when either is missing: older versions wrote no span.
fn trace(trace_id: Option<&str>, span_id: Option<&str>) -> Option<TraceContext> {
    let parent = format!("00-{}-{}-01", trace_id?, span_id?);
    parent.parse::<Traceparent>().ok().map(TraceContext::from)
}

/// Letters that go into one batch, because they stood in one and follow each other.
#[derive(Debug, Default)]
pub(super) struct Stack(Option<(Of, BatchBuilder)>);

impl Stack {
    /// Adds a letter. Gives the batch before it when that is full, or the letter belongs to another.
    pub(super) fn push(&mut self, letter: Letter) -> Option<Batch> {
        let fits = |(of, builder): &(Of, BatchBuilder)| *of == letter.of && builder.bytes() < BATCH_BYTES;
        let full = if self.0.as_ref().is_some_and(fits) {
            None
        } else {
            self.take()
        };
        let (_, builder) = self.0.get_or_insert_with(|| {
            let numbers = Numbers::new(letter.of.source.as_str().into(), letter.of.epoch, letter.seq, 0);
            (letter.of, BatchBuilder::new(&numbers))
        });
        builder.push_span(&letter.bytes, letter.seq);
        for (key, value) in &letter.attributes {
            builder.attribute(key, value);
        }
        full
    }

    /// What there is.
    pub(super) fn take(&mut self) -> Option<Batch> {
        let (of, builder) = self.0.take()?;
        let mut batch = builder.finish(of.received_ns, of.trace, Receipt::none());
        // Read with the letters, and shared with no other batch.
        batch.pinned += of.source.len();
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(seq: u64, members: &str) -> Letter {
        let line = format!(
            r#"{{"source":"plant","epoch":7,"seq":{seq},"received":"1970-01-01T00:00:01.5Z","text":"x"{members}}}"#
        );
        Letter::read(line.as_bytes(), 1).expect("a letter")
    }

    #[test]
    fn letters_of_one_batch_are_one_batch_again_and_its_trace_goes_on() {
        let trace = r#","trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331""#;
        let mut stack = Stack::default();
        assert!(stack.push(letter(3, trace)).is_none());
        assert!(stack.push(letter(5, trace)).is_none());
        let batch = stack.push(letter(6, "")).expect("the next one is of another");
        assert_eq!(batch.numbers.runs().len(), 2);
        assert_eq!((batch.numbers.epoch, batch.received_ns), (7, 1_500_000_000));
        assert_eq!(batch.trace_id().as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
        let last = stack.take().expect("it is there");
        assert_eq!((last.len(), last.trace), (1, None));
        assert!(stack.take().is_none());
    }
}
