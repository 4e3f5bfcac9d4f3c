//! `aqueduct spill DIR list`: a line for each segment.

use std::io::Write;

use super::{Done, Failure, name_of};
use crate::framework::spill::inspect::{Inspection, Outline, Segment};
use crate::{terminal, words};

pub(super) fn tell(found: &Inspection, out: &mut dyn Write) -> Done {
    segments(found, out)?;
    for stray in &found.strays {
        writeln!(out, "{}", super::no_segment(stray))?;
    }
    Ok(0)
}

fn segments(found: &Inspection, out: &mut dyn Write) -> Result<(), Failure> {
    if found.segments.is_empty() {
        writeln!(out, "no segments: nothing waits on disk")?;
        return Ok(());
    }
    let head = ["segment", "from", "to", "frames", "on disk", "state"].map(str::to_owned);
    let mut rows = vec![head];
    for (index, segment) in found.segments.iter().enumerate() {
        let outline = found.outline(segment)?;
        let next = found.segments.get(index + 1).map(|next| next.first);
        let to = next.or(outline.tail);
        let dash = || "?".to_owned();
        rows.push([
            name_of(&segment.path),
            segment.first.to_string(),
            to.map_or_else(dash, |to| to.to_string()),
            to.map_or_else(dash, |to| to.saturating_sub(segment.first).to_string()),
            words::bytes(segment.bytes as f64),
            state(found, segment, &outline, to),
        ]);
    }
    let columns = terminal::columns().unwrap_or(usize::MAX);
    for line in terminal::table(&rows, [false, true, true, true, true, false], 2) {
        writeln!(out, "{}", terminal::cut(&line, columns))?;
    }
    Ok(())
}

fn state(found: &Inspection, segment: &Segment, outline: &Outline, to: Option<u64>) -> String {
    if let Some(why) = &outline.damage {
        return format!("damaged: {why}");
    }
    let noted = found.quarantine.iter().find(|kept| kept.name == name_of(&segment.path));
    if let Some(noted) = noted {
        let reason = noted.entry.lines().find_map(|line| line.strip_prefix("reason: "));
        return format!("damaged: {}", reason.unwrap_or("the store has noted no reason"));
    }
    let word = match to {
        None => "gone meanwhile",
        Some(to) if to <= found.settled => "settled",
        Some(_) if segment.first < found.settled => "partly settled",
        Some(_) => "waits",
    };
    let written = if segment.written { ", may be being written" } else { "" };
    format!("{word}{written}")
}
