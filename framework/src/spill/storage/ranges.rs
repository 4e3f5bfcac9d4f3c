//! Ranges of positions that are noted in a store's directory: each is an empty file `FIRST-END.ENDING`, so that a note takes no space of a full disk.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::spill::SpillError;
use crate::spill::disk::{Disk, Open};
use crate::spill::folder::{Folder, POSITION_DIGITS, position_of};

/// Behind any position that a store comes to.
const POSITIONS: u64 = u64::MAX / 2;

/// The ranges of one ending.
#[derive(Debug, Clone)]
pub(in crate::spill) struct Ranges {
    ending: &'static str,
    /// First position -> end.
    pub(super) known: BTreeMap<u64, u64>,
}

impl Ranges {
    /// Those in a directory. Files of other names are left alone.
    pub(super) fn of(disk: &dyn Disk, path: &Path, ending: &'static str) -> Result<Self, SpillError> {
        let names = disk.names(path).map_err(|error| SpillError::io("list", path, error))?;
        let known = names.iter().filter_map(|name| parse(name, ending)).collect();
        Ok(Self { ending, known })
    }

    /// Durable when this returns.
    pub(super) fn note(&mut self, folder: &Folder, range: &Range<u64>) -> Result<(), SpillError> {
        let path = self.path(folder, range);
        let made = folder.disk().open(&path, Open::Write);
        made.map_err(|error| SpillError::io("create", &path, error))?;
        folder.sync()?;
        self.known.insert(range.start, range.end);
        Ok(())
    }

    /// The range that begins at `first` says nothing any more: a file that cannot be removed does no harm.
    pub(super) fn forget(&mut self, folder: &Folder, first: u64) {
        if let Some(end) = self.known.remove(&first) {
            let _ = folder.remove(&self.path(folder, &(first..end)));
        }
    }

    fn path(&self, folder: &Folder, range: &Range<u64>) -> PathBuf {
        let (first, end, ending) = (range.start, range.end, self.ending);
        folder
            .path()
            .join(format!("{first:0POSITION_DIGITS$}-{end:0POSITION_DIGITS$}.{ending}"))
    }
}

fn parse(name: &str, ending: &str) -> Option<(u64, u64)> {
    let (range, found) = name.split_once('.')?;
    let (first, end) = range.split_once('-')?;
    let (first, end) = (position_of(first)?, position_of(end)?);
    (found == ending && first < end && end < POSITIONS).then_some((first, end))
}
