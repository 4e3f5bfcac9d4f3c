//! `aqueduct spill DIR peek`: the next frames in words.

use std::io::{self, Write};

use clap::Args;

use super::{Done, positions, time_of, warn_in_use};
use crate::framework::batch::Frame;
use crate::framework::spill::inspect::{Inspection, Sight};
use crate::words;

/// How much of a frame is shown, in bytes.
const SHOWN_BYTES: usize = 80;

#[derive(Debug, Args)]
pub(super) struct Peek {
    /// How many frames
    #[arg(long, value_name = "N", default_value_t = 10)]
    count: u64,
    /// Begin at this position instead of the oldest frame that is not settled
    #[arg(long, value_name = "POSITION")]
    from: Option<u64>,
}

impl Peek {
    pub(super) fn tell(&self, found: &Inspection, out: &mut dyn Write) -> Done {
        warn_in_use(found);
        let mut left = self.count;
        for sight in found.walk(self.from.unwrap_or(found.settled)) {
            if left == 0 {
                break;
            }
            match sight? {
                Sight::Record { batches, .. } => {
                    let frames = batches
                        .iter()
                        .flat_map(|(first, batch)| (*first..).zip(batch.frames()))
                        .take(usize::try_from(left).unwrap_or(usize::MAX));
                    for (position, frame) in frames {
                        tell_frame(position, &frame, out)?;
                        left -= 1;
                    }
                }
                Sight::Damaged { segment, why } => writeln!(out, "segment {segment} is damaged: {why}")?,
                Sight::Missing {
                    segment,
                    positions: missing,
                } if !found.is_written(segment) => {
                    writeln!(out, "{} are missing", positions(&missing))?;
                }
                Sight::Dropped { positions } => writeln!(out, "{}", super::dropped(&positions))?,
                Sight::Missing { .. } | Sight::Gone { .. } => {}
            }
        }
        if left == self.count && left > 0 {
            writeln!(out, "no frames there")?;
        }
        Ok(0)
    }
}

fn tell_frame(position: u64, frame: &Frame<'_>, out: &mut dyn Write) -> io::Result<()> {
    let batch = frame.batch();
    let received = humantime::format_rfc3339_millis(time_of(batch.received_ns));
    let size = words::bytes(frame.bytes().len() as f64);
    write!(
        out,
        "{position}  {}:{}  received {received}  {size}",
        frame.source(),
        frame.number()
    )?;
    if let Some(trace) = batch.trace_id() {
        write!(out, "  trace {trace}")?;
    }
    let own = batch.attributes.range(frame.index(), frame.index() + 1).iter();
    let own = own.map(|own| (own.key.as_str(), own.value.as_str()));
    for (key, value) in batch.attributes.batch_attributes().chain(own) {
        write!(out, "  {key}={value:?}")?;
    }
    writeln!(out, "\n    {}", beginning(frame.bytes()))
}

/// The first bytes as text in quotes, or escaped when they are none.
fn beginning(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(SHOWN_BYTES)];
    let more = if shown.len() < bytes.len() { "..." } else { "" };
    match std::str::from_utf8(shown) {
        Ok(text) => format!("{text:?}{more}"),
        // A character may have been cut in two.
        Err(error) if error.error_len().is_none() && !more.is_empty() => {
            format!("{:?}{more}", String::from_utf8_lossy(&shown[..error.valid_up_to()]))
        }
        Err(_) => format!("b\"{}\"{more}", shown.escape_ascii()),
    }
}
