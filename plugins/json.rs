//! Frames as lines of JSON, with everything that is known of them: as the sink `file` and `aqueduct spill DIR export` write them, and the source `file`
//! reads them.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use aqueduct_framework::batch::Frame;
use aqueduct_framework::plugin::rejection::{ACTOR, REASON, TIME, TRACE_ID};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u64>,
    source: &'a str,
    /// When the source began to count, in nanoseconds since 1970.
    epoch: u64,
    seq: u64,
    /// RFC 3339, UTC.
    received: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    /// The span that was the latest of its batch when it came here, 16 hexadecimal digits: with it the trace can go on when the frame is read back.
    #[serde(skip_serializing_if = "Option::is_none")]
    span_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected: Option<Rejected<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<&'a str, &'a str>,
    #[serde(flatten)]
    bytes: Bytes<'a>,
}

#[derive(Serialize)]
struct Rejected<'a> {
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<&'a str>,
    /// The trace it was rejected in; a long wait may have begun another one since.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
}

/// The frame's bytes without framing.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Bytes<'a> {
    /// They are UTF-8.
    Text(&'a str),
    /// They are not (RFC 4648, with padding).
    Base64(String),
}

/// The line of a frame, newline included; with the frame's position in its store, where that is given.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn line(position: Option<u64>, frame: Frame<'_>) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(&Line::of(position, frame))?;
    line.push(b'\n');
    Ok(line)
}

impl<'a> Line<'a> {
    fn of(position: Option<u64>, frame: Frame<'a>) -> Self {
        let batch = frame.batch();
        let own = batch.attributes.range(frame.index(), frame.index() + 1).iter();
        let own = own.map(|own| (own.key.as_str(), own.value.as_str()));
        // A frame's own ones stand over the batch's.
        let mut attributes: BTreeMap<_, _> = batch.attributes.batch_attributes().chain(own).collect();
        let rejected = attributes.remove(REASON).map(|reason| Rejected {
            reason,
            actor: attributes.remove(ACTOR),
            time: attributes.remove(TIME),
            trace_id: attributes.remove(TRACE_ID),
        });
        let received = UNIX_EPOCH + Duration::from_nanos(batch.received_ns);
        Self {
            position,
            source: frame.source(),
            epoch: batch.numbers.epoch,
            seq: frame.number(),
            received: humantime::format_rfc3339_nanos(received).to_string(),
            trace_id: batch.trace_id(),
            span_id: batch.trace.map(|trace| format!("{:016x}", trace.span_id)),
            rejected,
            attributes,
            bytes: match std::str::from_utf8(frame.bytes()) {
                Ok(text) => Bytes::Text(text),
                Err(_) => Bytes::Base64(STANDARD.encode(frame.bytes())),
            },
        }
    }
}
