//! `aqueduct spill DIR export`: frames to standard output.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::json;

use super::{Done, counted, time_of, warn_in_use};
use crate::commands::{FAILED, WRONG};
use crate::framework::batch::{Batch, Frame};
use crate::framework::framing::{self, DynFraming};
use crate::framework::spill::inspect::{Inspection, Sight};

#[derive(Debug, Args)]
pub(super) struct Export {
    /// Begin at this position instead of the oldest frame that is not settled
    #[arg(long, value_name = "POSITION")]
    from: Option<u64>,
    /// End before this position
    #[arg(long, value_name = "POSITION")]
    to: Option<u64>,
    /// Only frames received at this time or later, such as 2026-11-21T05:06:30Z (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = super::time)]
    since: Option<SystemTime>,
    /// How frames are written
    #[arg(long, value_enum, default_value_t = Form::Delimited)]
    framing: Form,
    /// The delimiter in hexadecimal digits, for `--framing delimited`
    #[arg(long, value_name = "HEX", default_value = "0a")]
    delimiter_hex: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A delimiter behind each, a newline unless --delimiter-hex says otherwise
    Delimited,
    /// The length before each, in 4 bytes, network order
    Length,
    /// A line of JSON for each, with its number, time, attributes and bytes
    Json,
}

/// What an export came to.
#[derive(Debug, Default)]
struct Exported {
    frames: u64,
    missing: u64,
    damaged: bool,
    /// Frames that cannot be written in this framing, and why not the first of them.
    left_out: u64,
    why: Option<String>,
}

/// As the `file` sink writes frames with `format = "json"`, with the position.
#[derive(Serialize)]
struct Line<'a> {
    position: u64,
    source: &'a str,
    /// When the source began to count, in nanoseconds since 1970.
    epoch: u64,
    seq: u64,
    /// RFC 3339, UTC.
    received: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    span_id: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<&'a str, &'a str>,
    #[serde(flatten)]
    bytes: Bytes<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Bytes<'a> {
    /// They are UTF-8.
    Text(&'a str),
    /// They are not (RFC 4648, with padding).
    Base64(String),
}

impl Export {
    pub(super) fn write(&self, found: &Inspection, out: &mut dyn Write) -> Done {
        let framing = match self.framing() {
            Ok(framing) => framing,
            Err(why) => {
                eprintln!("--delimiter-hex {}: {why}", self.delimiter_hex);
                return Ok(WRONG);
            }
        };
        warn_in_use(found);
        for stray in &found.strays {
            eprintln!("{}", super::no_segment(stray));
        }
        let (from, to) = (self.from.unwrap_or(found.settled), self.to.unwrap_or(u64::MAX));
        let mut exported = Exported::default();
        for sight in found.walk(from).to(to) {
            match sight? {
                Sight::Record { batches, .. } => {
                    let late = batches
                        .iter()
                        .filter(|(_, batch)| self.since.is_none_or(|since| time_of(batch.received_ns) >= since));
                    for (first, batch) in late {
                        exported.write(*first, batch, framing.as_deref(), out)?;
                    }
                }
                Sight::Damaged { segment, why } => {
                    exported.damaged = true;
                    eprintln!("segment {segment} is damaged, what can be read of it is exported: {why}");
                }
                Sight::Missing { segment, positions } if !found.is_written(segment) => {
                    exported.missing += positions.end - positions.start;
                    eprintln!("{} are missing", super::positions(&positions));
                }
                Sight::Dropped { positions } => eprintln!("{}", super::dropped(&positions)),
                Sight::Missing { .. } | Sight::Gone { .. } => {}
            }
        }
        out.flush()?;
        Ok(exported.tell())
    }

    /// None for JSON.
    fn framing(&self) -> Result<Option<Box<dyn DynFraming>>, String> {
        let (name, settings) = match self.framing {
            Form::Delimited => ("delimited", json!({ "delimiter_hex": self.delimiter_hex })),
            Form::Length => ("length_delimited", json!({})),
            Form::Json => return Ok(None),
        };
        framing::build(name, settings)
            .map(Some)
            .map_err(|error| error.to_string())
    }
}

impl Exported {
    fn write(
        &mut self,
        first: u64,
        batch: &Batch,
        framing: Option<&dyn DynFraming>,
        out: &mut dyn Write,
    ) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        for (position, frame) in (first..).zip(batch.frames()) {
            bytes.clear();
            let encoded = match framing {
                Some(framing) => framing
                    .encode(frame.bytes(), &mut bytes)
                    .map_err(|error| error.to_string()),
                None => line(position, &frame, &mut bytes).map_err(|error| error.to_string()),
            };
            match encoded {
                Ok(()) => {
                    out.write_all(&bytes)?;
                    self.frames += 1;
                }
                Err(why) => {
                    self.left_out += 1;
                    self.why.get_or_insert_with(|| format!("position {position}: {why}"));
                }
            }
        }
        Ok(())
    }

    /// The summary goes to standard error, the frames have standard output.
    fn tell(&self) -> u8 {
        eprintln!("{} exported", counted(self.frames, "frame"));
        if let Some(why) = &self.why {
            let frames = counted(self.left_out, "frame");
            eprintln!("{frames} left out, which this framing cannot carry (`--framing length` or `json` can); {why}");
        }
        let whole = self.left_out == 0 && self.missing == 0 && !self.damaged;
        if whole { 0 } else { FAILED }
    }
}

fn line(position: u64, frame: &Frame<'_>, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let batch = frame.batch();
    let own = batch.attributes.range(frame.index(), frame.index() + 1).iter();
    let own = own.map(|own| (own.key.as_str(), own.value.as_str()));
    let line = Line {
        position,
        source: frame.source(),
        epoch: batch.numbers.epoch,
        seq: frame.number(),
        received: humantime::format_rfc3339_nanos(time_of(batch.received_ns)).to_string(),
        trace_id: batch.trace_id(),
        span_id: batch.trace.map(|trace| format!("{:016x}", trace.span_id)),
        // A frame's own ones stand over the batch's.
        attributes: batch.attributes.batch_attributes().chain(own).collect(),
        bytes: match std::str::from_utf8(frame.bytes()) {
            Ok(text) => Bytes::Text(text),
            Err(_) => Bytes::Base64(STANDARD.encode(frame.bytes())),
        },
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.push(b'\n');
    Ok(())
}
