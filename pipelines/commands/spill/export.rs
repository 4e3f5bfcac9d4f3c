//! `aqueduct spill DIR export`: frames to standard output.

use crate::say::say;
use std::io::Write;
use std::time::SystemTime;

use aqueduct_plugins::json;
use clap::{Args, ValueEnum};

use super::{Done, counted, time_of, warn_in_use};
use crate::commands::{FAILED, WRONG};
use crate::framework::batch::Batch;
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
    /// Only frames received at this time or later, such as 2026-11-21T05:06:30Z (RFC 3339, any zone), a date, or 1h (ago)
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

impl Export {
    pub(super) fn write(&self, found: &Inspection, out: &mut dyn Write) -> Done {
        let framing = match self.framing() {
            Ok(framing) => framing,
            Err(why) => {
                say!("--delimiter-hex {}: {why}", self.delimiter_hex);
                return Ok(WRONG);
            }
        };
        warn_in_use(found);
        for stray in &found.strays {
            say!("{}", super::no_segment(stray));
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
                    say!("segment {segment} is damaged, what can be read of it is exported: {why}");
                }
                Sight::Missing { segment, positions } if !found.is_written(segment) => {
                    exported.missing += positions.end - positions.start;
                    say!("{} are missing", super::positions(&positions));
                }
                Sight::Dropped { positions } => say!("{}", super::dropped(&positions)),
                Sight::Missing { .. } | Sight::Gone { .. } => {}
            }
        }
        out.flush()?;
        Ok(exported.tell())
    }

    /// None for JSON.
    fn framing(&self) -> Result<Option<Box<dyn DynFraming>>, String> {
        let (name, settings) = match self.framing {
            Form::Delimited => ("delimited", serde_json::json!({ "delimiter_hex": self.delimiter_hex })),
            Form::Length => ("length_delimited", serde_json::json!({})),
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
                None => json::line(Some(position), frame)
                    .map(|line| bytes = line)
                    .map_err(|error| error.to_string()),
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
        say!("{} exported", counted(self.frames, "frame"));
        if let Some(why) = &self.why {
            let frames = counted(self.left_out, "frame");
            say!("{frames} left out, which this framing cannot carry (`--framing length` or `json` can); {why}");
        }
        let whole = self.left_out == 0 && self.missing == 0 && !self.damaged;
        if whole { 0 } else { FAILED }
    }
}
