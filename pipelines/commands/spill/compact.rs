//! `aqueduct spill DIR compact`: deletes what is not needed any more.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;

use super::skip::open;
use super::{Done, counted};
use crate::framework::spill::SpillError;
use crate::framework::spill::inspect::Inspection;
use crate::framework::units::Period;
use crate::words;

#[derive(Debug, Args)]
pub(super) struct Compact {
    /// Also delete damaged segments that were set aside longer ago than this, such as "30 days"
    #[arg(long, value_name = "TIME")]
    quarantine_older_than: Option<Period>,
}

impl Compact {
    /// A running store deletes segments as they are settled: what is left is what a kill or a full disk left behind.
    pub(super) fn carry_out(&self, before: &Inspection, out: &mut dyn Write) -> Done {
        let mut storage = open(before)?;
        storage.settle(before.settled)?;
        let leftovers = before.leftovers.iter().filter(|path| path.exists());
        for path in leftovers {
            remove(path)?;
        }
        let old = self.old(before)?;
        for path in &old {
            remove(path)?;
        }
        storage.close()?;
        let after = Inspection::of(&before.path)?;
        let segments = (before.segments.len().saturating_sub(after.segments.len())) as u64;
        let unfinished = (before.leftovers.len().saturating_sub(after.leftovers.len())) as u64;
        let old = old
            .iter()
            .filter(|path| path.extension().is_none_or(|end| end != "txt"))
            .count() as u64;
        if segments + unfinished + old == 0 {
            writeln!(
                out,
                "nothing to compact: segments go whole as soon as they are settled, and none is left behind"
            )?;
            return Ok(0);
        }
        let freed = bytes(before).saturating_sub(bytes(&after));
        writeln!(
            out,
            "deleted {}, {}, {}: {} of segments freed",
            counted(segments, "settled segment"),
            counted(unfinished, "unfinished file"),
            counted(old, "damaged segment") + " of the quarantine",
            words::bytes(freed as f64)
        )?;
        Ok(0)
    }

    /// Damaged segments with the text about each; the text's age counts, or else the segment's.
    fn old(&self, found: &Inspection) -> Result<Vec<PathBuf>, SpillError> {
        let Some(age) = self.quarantine_older_than else {
            return Ok(Vec::new());
        };
        let limit = SystemTime::now()
            .checked_sub(age.duration())
            .unwrap_or(SystemTime::UNIX_EPOCH);
        let folder = found.path.join("quarantine");
        let mut old = Vec::new();
        for kept in &found.quarantine {
            let (segment, text) = (folder.join(&kept.name), folder.join(format!("{}.txt", kept.name)));
            let in_its_place = found.path.join(&kept.name).exists();
            let changed = fs::metadata(&text)
                .or_else(|_| fs::metadata(&segment))
                .and_then(|file| file.modified());
            if !in_its_place && changed.is_ok_and(|changed| changed < limit) {
                old.extend([segment, text].into_iter().filter(|path| path.exists()));
            }
        }
        Ok(old)
    }
}

fn bytes(found: &Inspection) -> u64 {
    let segments = found.segments.iter().map(|segment| segment.bytes);
    segments.chain(found.quarantine.iter().map(|kept| kept.bytes)).sum()
}

fn remove(path: &Path) -> Result<(), SpillError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(SpillError::Io {
            what: "delete",
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}
