//! Which positions were dropped on purpose while unsettled ones stood before them: nothing is missing there, also after the next start.
//!
//! Each range is an empty file `FIRST-END.gone`, made before its segment is deleted, so that what a full store gave up is not taken for
//! damage. It begins where frames stood before that segment: what lies in between was settled before it was written, which only the
//! segment said. It goes when everything in the range is settled.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::spill::SpillError;
use crate::spill::disk::{Disk, Open};
use crate::spill::folder::Folder;

/// The ranges, first position -> end.
#[derive(Debug, Clone)]
pub(in crate::spill) struct Gone(BTreeMap<u64, u64>);

impl Gone {
    /// Those of the store in a directory.
    pub(in crate::spill) fn of(disk: &dyn Disk, path: &Path) -> Result<Self, SpillError> {
        let names = disk.names(path).map_err(|error| SpillError::io("list", path, error))?;
        let range = |name: &String| {
            let (first, end) = name.strip_suffix(".gone")?.split_once('-')?;
            Some((first.parse().ok()?, end.parse().ok()?))
        };
        Ok(Self(names.iter().filter_map(range).collect()))
    }

    /// Durable when this returns.
    pub(super) fn note(&mut self, folder: &Folder, range: &Range<u64>) -> Result<(), SpillError> {
        let path = path(folder, range.start, range.end);
        let made = folder.disk().open(&path, Open::Write);
        made.map_err(|error| SpillError::io("create", &path, error))?;
        folder.sync()?;
        self.0.insert(range.start, range.end);
        Ok(())
    }

    /// The same until the next start, for what the cursor has passed.
    pub(super) fn note_passed(&mut self, range: &Range<u64>) {
        self.0.insert(range.start, range.end);
    }

    /// Everything below `position` is settled.
    pub(super) fn forget(&mut self, folder: &Folder, position: u64) {
        while let Some(entry) = self.0.first_entry().filter(|entry| *entry.get() <= position) {
            let (first, end) = entry.remove_entry();
            // One that stays says nothing new of what the cursor has passed.
            let _ = folder.remove(&path(folder, first, end));
        }
    }

    /// Where the range ends that holds this position.
    pub(in crate::spill) fn end_at(&self, position: u64) -> Option<u64> {
        let (_, end) = self.0.range(..=position).next_back()?;
        (*end > position).then_some(*end)
    }

    /// Where the next range begins behind this position.
    pub(in crate::spill) fn next_behind(&self, position: u64) -> Option<u64> {
        self.0.range(position + 1..).next().map(|(first, _)| *first)
    }

    /// The end of the last range; 0 without any.
    pub(in crate::spill) fn end(&self) -> u64 {
        self.0.values().next_back().copied().unwrap_or(0)
    }
}

fn path(folder: &Folder, first: u64, end: u64) -> PathBuf {
    folder.path().join(format!("{first:020}-{end:020}.gone"))
}
