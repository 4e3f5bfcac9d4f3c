//! `aqueduct spill DIR verify`: reads everything and says what is wrong.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;

use super::{Done, counted, name_of, positions};
use crate::commands::FAILED;
use crate::framework::spill::SpillError;
use crate::framework::spill::inspect::{Inspection, Sight};

/// What was found in a store.
#[derive(Debug, Default)]
struct Findings {
    /// By first position.
    segments: BTreeMap<u64, InSegment>,
    /// Missing where no segment is.
    nowhere: Vec<Range<u64>>,
    dropped: Vec<Range<u64>>,
}

/// What was found in one segment.
#[derive(Debug, Default)]
struct InSegment {
    frames: u64,
    damage: Option<String>,
    missing: Vec<Range<u64>>,
    gone: bool,
}

pub(super) fn tell(found: &Inspection, out: &mut dyn Write) -> Done {
    let findings = Findings::of(found)?;
    missing(found, &findings.nowhere, out)?;
    for segment in &found.segments {
        let Some(inside) = findings.segments.get(&segment.first) else {
            continue;
        };
        writeln!(out, "{}  {}", name_of(&segment.path), sentence(inside, segment.written))?;
        missing(found, &inside.missing, out)?;
        if inside.damage.is_some() && found.segments.last() == Some(segment) {
            writeln!(
                out,
                "  it is the newest: how many frames stood behind the last one found is not known"
            )?;
        }
    }
    for stray in &found.strays {
        writeln!(out, "{}", super::no_segment(stray))?;
    }
    for range in &findings.dropped {
        writeln!(out, "{}", super::dropped(range))?;
    }
    let wrong = files(found, out)?;
    findings.conclude(wrong, out)
}

impl Findings {
    /// Reads everything.
    fn of(found: &Inspection) -> Result<Self, SpillError> {
        let mut findings = Self::default();
        for segment in &found.segments {
            findings.segments.insert(segment.first, InSegment::default());
        }
        for sight in found.walk(found.start()) {
            match sight? {
                Sight::Record { segment, batches } => {
                    let frames: u64 = batches.iter().map(|(_, batch)| batch.len() as u64).sum();
                    findings.inside(segment).frames += frames;
                }
                Sight::Damaged { segment, why } => findings.inside(segment).damage = Some(why),
                Sight::Missing { segment, .. } if found.is_written(segment) => {}
                Sight::Missing { segment, positions } => match segment {
                    Some(segment) => findings.inside(segment).missing.push(positions),
                    None => findings.nowhere.push(positions),
                },
                Sight::Dropped { positions } => findings.dropped.push(positions),
                Sight::Gone { segment } => findings.inside(segment).gone = true,
            }
        }
        Ok(findings)
    }

    fn inside(&mut self, segment: u64) -> &mut InSegment {
        self.segments.entry(segment).or_default()
    }

    /// The last lines, and the exit code.
    fn conclude(&self, wrong: bool, out: &mut dyn Write) -> Done {
        let segments = self.segments.values();
        let frames = counted(segments.clone().map(|inside| inside.frames).sum(), "frame");
        let damaged = segments.clone().filter(|inside| inside.damage.is_some()).count() as u64;
        let ranges = segments.flat_map(|inside| &inside.missing).chain(&self.nowhere);
        let lost: u64 = ranges.map(|range| range.end - range.start).sum();
        if !wrong && damaged == 0 && lost == 0 {
            writeln!(out, "{frames} read, every checksum is right, none is missing")?;
            return Ok(0);
        }
        let (damaged, lost) = (counted(damaged, "damaged segment"), counted(lost, "frame"));
        writeln!(out, "{frames} read; {damaged}, {lost} missing")?;
        writeln!(
            out,
            "a pipeline started on this store delivers the rest in order, and sets damaged segments aside"
        )?;
        Ok(FAILED)
    }
}

fn sentence(findings: &InSegment, written: bool) -> String {
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
