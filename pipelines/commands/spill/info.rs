//! `aqueduct spill DIR info`: the store in a few sentences.

use std::io::{self, Write};

use super::{Done, counted, forget, time_of};
use crate::framework::spill::inspect::{Inspection, Sight};
use crate::framework::spill::{FIRST_FORMAT, SpillError};
use crate::words;

pub(super) fn tell(found: &Inspection, out: &mut dyn Write) -> Done {
    writeln!(out, "spill store {}", found.path.display())?;
    format(found, out)?;
    if let Some(holder) = &found.holder {
        writeln!(
            out,
            "  in use by {holder}; what it has only in memory is not seen here, `aqueduct status` counts it"
        )?;
    } else {
        writeln!(out, "  not in use")?;
    }
    last_run(found, out)?;
    waiting(found, out)?;
    forget::cursors(found, out)?;
    let bytes: u64 = found.segments.iter().map(|segment| segment.bytes).sum();
    let segments = counted(found.segments.len() as u64, "segment");
    writeln!(out, "  {segments}, {} on disk", words::bytes(bytes as f64))?;
    damaged(found, out)?;
    set_aside(found, out)?;
    if !found.leftovers.is_empty() && found.holder.is_none() {
        let files = counted(found.leftovers.len() as u64, "unfinished file");
        writeln!(
            out,
            "  {files} of a run that was killed; the next start removes them, and so does `compact`"
        )?;
    }
    Ok(0)
}

fn format(found: &Inspection, out: &mut dyn Write) -> io::Result<()> {
    match found.format {
        Some(format) if format >= FIRST_FORMAT => writeln!(out, "  format {format}"),
        Some(older) => writeln!(
            out,
            "  format {older}; the next start makes it {FIRST_FORMAT}, what is in it stays readable"
        ),
        None => writeln!(
            out,
            "  format unknown: the file that says it is missing or damaged; the next start writes it anew"
        ),
    }
}

/// How the last run ended, and whether what it left is still there.
fn last_run(found: &Inspection, out: &mut dyn Write) -> Result<(), super::Failure> {
    let Some(run) = &found.last_run else { return Ok(()) };
    let by = match run.owner.split_once(' ') {
        Some((pipeline, actor)) => format!("; used last by actor {actor} of pipeline {pipeline}"),
        None => String::new(),
    };
    match run.ended {
        Some(_) => writeln!(out, "  the last run ended in order{by}")?,
        None => writeln!(
            out,
            "  the last run did not end in order: what it had in memory only is lost, unless it was delivered{by}"
        )?,
    }
    let missing = found.missing_at_end()?;
    if missing > 0 {
        let frames = counted(missing, "frame");
        writeln!(
            out,
            "  {frames} missing at the end, there when the last run ended; the next run counts them as lost"
        )?;
    }
    Ok(())
}

fn waiting(found: &Inspection, out: &mut dyn Write) -> Result<(), super::Failure> {
    let (settled, tail) = (found.settled, found.tail()?);
    let sure = if found.cursor_whole {
        ""
    } else {
        ", perhaps higher: its file is missing or damaged, so frames may come again"
    };
    writeln!(out, "  cursor at {settled}{sure}")?;
    if tail <= settled {
        writeln!(out, "  nothing waits on disk")?;
        return Ok(());
    }
    let frames = counted(tail - settled, "frame");
    writeln!(out, "  {frames} wait on disk at most, positions {settled} to {tail}")?;
    if let Some(received_ns) = oldest(found)? {
        let at = time_of(received_ns);
        let ago = words::time(at.elapsed().unwrap_or_default().as_secs_f64());
        writeln!(
            out,
            "  the oldest was received {ago} ago, at {}",
            humantime::format_rfc3339_seconds(at)
        )?;
    }
    Ok(())
}

/// When the oldest frame that is not settled was received.
fn oldest(found: &Inspection) -> Result<Option<u64>, SpillError> {
    for sight in found.walk(found.settled) {
        if let Sight::Record { batches, .. } = sight? {
            return Ok(batches.first().map(|(_, batch)| batch.received_ns));
        }
    }
    Ok(None)
}

/// What shows at the ends of the segments; `verify` looks at all between them.
fn damaged(found: &Inspection, out: &mut dyn Write) -> Result<(), super::Failure> {
    let mut damaged = 0;
    for segment in &found.segments {
        damaged += u64::from(found.outline(segment)?.damage.is_some());
    }
    if damaged > 0 {
        let segments = counted(damaged, "segment");
        writeln!(
            out,
            "  damage: {segments} cannot be read as a whole; `list` tells why, `verify` what can still be delivered"
        )?;
    }
    for stray in &found.strays {
        writeln!(out, "  {}", super::no_segment(stray))?;
    }
    Ok(())
}

fn set_aside(found: &Inspection, out: &mut dyn Write) -> io::Result<()> {
    if found.quarantine.is_empty() {
        return writeln!(out, "  quarantine: empty");
    }
    let bytes: u64 = found.quarantine.iter().map(|kept| kept.bytes).sum();
    let segments = counted(found.quarantine.len() as u64, "damaged segment");
    writeln!(out, "  quarantine: {segments}, {}", words::bytes(bytes as f64))?;
    for kept in &found.quarantine {
        let said = |key: &str| {
            kept.entry
                .lines()
                .find_map(|line| line.strip_prefix(key))
                .unwrap_or("unknown")
        };
        writeln!(
            out,
            "    {}: {} frames lost; {}",
            kept.name,
            said("frames lost: "),
            said("reason: ")
        )?;
    }
    Ok(())
}
