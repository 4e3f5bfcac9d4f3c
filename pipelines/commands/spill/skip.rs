//! `aqueduct spill DIR skip`: gives up the oldest frames.

use crate::say::say;
use std::io::Write;
use std::ops::Range;

use clap::Args;

use super::{Done, counted, positions};
use crate::commands::WRONG;
use crate::framework::spill::inspect::{Inspection, Sight};
use crate::framework::spill::{SpillError, SpillOptions, Storage};
use crate::words;

#[derive(Debug, Args)]
pub(super) struct Skip {
    #[command(flatten)]
    how_far: HowFar,
    /// Do it; without this it is only told what would be given up
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct HowFar {
    /// Give up so many of the oldest frames
    #[arg(long, value_name = "N")]
    frames: Option<u64>,
    /// Give up all frames before this position
    #[arg(long, value_name = "POSITION")]
    to: Option<u64>,
}

/// What is given up.
#[derive(Debug)]
struct Given {
    range: Range<u64>,
    frames: u64,
    bytes: u64,
}

impl Skip {
    pub(super) fn carry_out(&self, found: &Inspection, out: &mut dyn Write) -> Done {
        let directory = found.path.display();
        let storage = self.yes.then(|| open(found)).transpose()?;
        if storage.is_none()
            && let Some(refused) = refusal(found)
        {
            return Err(refused.into());
        }
        // Looked at again under the lock: nothing changes between the counting and the deed.
        let locked = storage.as_ref().map(|_| Inspection::of(&found.path)).transpose()?;
        let found = locked.as_ref().unwrap_or(found);
        let tail = found.tail()?;
        let given = self.count(found, tail)?;
        if given.range.is_empty() {
            say!(
                "{directory}: the cursor stands at {}, and {tail} is behind the last frame: there is nothing to skip; a cursor never goes back, \
                 `export` writes older frames that are still there",
                found.settled
            );
            return Ok(WRONG);
        }
        let what = format!(
            "{}, {}, {}",
            counted(given.frames, "frame"),
            words::bytes(given.bytes as f64),
            positions(&given.range)
        );
        let Some(mut storage) = storage else {
            writeln!(
                out,
                "would give up {what}; they would never be delivered (`export` keeps a copy)"
            )?;
            say!("nothing was changed: add --yes to do it");
            return Ok(WRONG);
        };
        storage.settle(given.range.end)?;
        storage.close()?;
        writeln!(out, "gave up {what}; delivery begins at position {}", given.range.end)?;
        Ok(0)
    }

    /// What lies between the cursor and where it is to go.
    fn count(&self, found: &Inspection, tail: u64) -> Result<Given, SpillError> {
        let to = self.how_far.to.unwrap_or(tail).min(tail);
        let most = self.how_far.frames.unwrap_or(u64::MAX);
        let mut given = Given {
            range: found.settled..found.settled.max(to),
            frames: 0,
            bytes: 0,
        };
        if most == 0 {
            given.range.end = found.settled;
        }
        for sight in found.walk(found.settled) {
            let Sight::Record { batches, .. } = sight? else {
                continue;
            };
            let each = batches.iter().flat_map(|(first, batch)| (*first..).zip(batch.frames()));
            for (position, frame) in each {
                if position >= given.range.end || given.frames == most {
                    return Ok(given);
                }
                given.frames += 1;
                given.bytes += frame.bytes().len() as u64;
                if given.frames == most {
                    given.range.end = position + 1;
                }
            }
        }
        Ok(given)
    }
}

/// Opens the store to change it, which takes its lock.
pub(super) fn open(found: &Inspection) -> Result<Storage, SpillError> {
    let mut options = SpillOptions::new(&found.path);
    // How much a pipeline keeps there is for its config to say.
    options.quarantine_bytes = u64::MAX;
    let (storage, recovered) = Storage::open(&options)?;
    if recovered.read_only {
        // What a pipeline can deliver from there, nobody can change.
        return Err(SpillError::Io {
            what: "change",
            path: found.path.clone(),
            source: rustix::io::Errno::ROFS.into(),
        });
    }
    Ok(storage)
}

/// That another process uses the store.
fn refusal(found: &Inspection) -> Option<SpillError> {
    found.holder.as_ref().map(|holder| SpillError::InUse {
        path: found.path.clone(),
        holder: holder.to_string(),
    })
}
