//! `aqueduct spill DIR verify`: reads everything and says what is wrong.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;

use super::{Done, counted, name_of, positions};
use crate::commands::FAILED;
use crate::framework::spill::inspect::{Inspection, Sight};

/// What was found in one segment.
#[derive(Debug, Default)]
struct Findings {
    frames: u64,
    damage: Option<String>,
    missing: Vec<Range<u64>>,
    gone: bool,
}

pub(super) fn tell(found: &Inspection, out: &mut dyn Write) -> Done {
    let (mut segments, mut nowhere, mut dropped) = (BTreeMap::<u64, Findings>::new(), Vec::new(), Vec::new());
    for segment in &found.segments {
        segments.insert(segment.first, Findings::default());
    }
    for sight in found.walk(found.start()) {
        match sight? {
            Sight::Record { segment, batches } => {
                let frames: u64 = batches.iter().map(|(_, batch)| batch.len() as u64).sum();
                segments.entry(segment).or_default().frames += frames;
            }
            Sight::Damaged { segment, why } => segments.entry(segment).or_default().damage = Some(why),
            Sight::Missing { segment, .. } if found.is_written(segment) => {}
            Sight::Missing {
                segment: Some(segment),
                positions,
            } => {
                segments.entry(segment).or_default().missing.push(positions);
            }
            Sight::Missing {
                segment: None,
                positions,
            } => nowhere.push(positions),
            Sight::Dropped { positions } => dropped.push(positions),
            Sight::Gone { segment } => segments.entry(segment).or_default().gone = true,
        }
    }
    missing(found, &nowhere, out)?;
    for segment in &found.segments {
        let Some(findings) = segments.get(&segment.first) else {
            continue;
        };
        writeln!(
            out,
            "{}  {}",
            name_of(&segment.path),
            sentence(findings, segment.written)
        )?;
        missing(found, &findings.missing, out)?;
        if findings.damage.is_some() && found.segments.last() == Some(segment) {
            writeln!(
                out,
                "  it is the newest: how many frames stood behind the last one found is not known"
            )?;
        }
    }
    for stray in &found.strays {
        writeln!(out, "{}", super::no_segment(stray))?;
    }
    for range in &dropped {
        writeln!(out, "{}", super::dropped(range))?;
    }
    let mut wrong = files(found, out)?;
    let frames: u64 = segments.values().map(|findings| findings.frames).sum();
    let damaged = segments.values().filter(|findings| findings.damage.is_some()).count() as u64;
    let ranges = segments.values().flat_map(|findings| &findings.missing).chain(&nowhere);
    let lost: u64 = ranges.map(|range| range.end - range.start).sum();
    wrong |= damaged > 0 || lost > 0;
    if wrong {
        let segments = counted(damaged, "damaged segment");
        writeln!(
            out,
            "{} read; {segments}, {} missing",
            counted(frames, "frame"),
            counted(lost, "frame")
        )?;
        writeln!(
            out,
            "a pipeline started on this store delivers the rest in order, and sets damaged segments aside"
        )?;
        return Ok(FAILED);
    }
    writeln!(
        out,
        "{} read, every checksum is right, none is missing",
        counted(frames, "frame")
    )?;
    Ok(0)
}

fn sentence(findings: &Findings, written: bool) -> String {
    let frames = counted(findings.frames, "frame");
    match &findings.damage {
        Some(why) => format!("damaged: {why}; {frames} can still be read"),
        None if findings.gone => "was settled and deleted meanwhile".to_owned(),
        None if written => format!("{frames} found so far; it may be being written, so its end cannot be verified"),
        None => frames,
    }
}

fn missing(found: &Inspection, ranges: &[Range<u64>], out: &mut dyn Write) -> io::Result<()> {
    for range in ranges {
        let frames = counted(range.end - range.start, "frame");
        let settled = if range.end <= found.settled {
            ", all settled before"
        } else {
            ""
        };
        writeln!(out, "  {frames} missing, {}{settled}", positions(range))?;
    }
    Ok(())
}

/// The files beside the segments; true when something is wrong with them.
fn files(found: &Inspection, out: &mut dyn Write) -> io::Result<bool> {
    if !found.cursor_whole {
        writeln!(
            out,
            "main.cursor  missing, or one of its two copies is damaged: frames that were delivered may come again"
        )?;
    }
    if found.format.is_none() {
        writeln!(
            out,
            "format  missing or damaged; records say their format themselves, so nothing is lost"
        )?;
    }
    Ok(!found.cursor_whole || found.format.is_none())
}
