//! Where segments ended when a commit to them failed.
//!
//! What such a commit wrote may be read back until the system forgets it: after a failed fsync the kernel counts pages as clean that it could not
//! write, and drops them when it needs the memory (Rebello and others, "Can Applications Recover from fsync Failures?", USENIX ATC 2020). A start that
//! believed them would put frames behind others that are gone later. So the end that was confirmed is noted at once, in an empty file
//! `FIRST-END.sealed`. It goes with its segment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::Storage;
use crate::seeded::{self, Bug};
use crate::spill::SpillError;
use crate::spill::disk::{Disk, Open};
use crate::spill::folder::Folder;

/// The segments, first position -> end.
#[derive(Debug, Clone)]
pub(in crate::spill) struct Sealed {
    noted: BTreeMap<u64, u64>,
    /// One that the disk did not take a note of.
    due: Option<(u64, u64)>,
}

impl Sealed {
    /// Those of the store in a directory.
    pub(in crate::spill) fn of(disk: &dyn Disk, path: &Path) -> Result<Self, SpillError> {
        let names = disk.names(path).map_err(|error| SpillError::io("list", path, error))?;
        let noted = names.iter().filter_map(|name| {
            let (first, end) = name.strip_suffix(".sealed")?.split_once('-')?;
            Some((first.parse().ok()?, end.parse().ok()?))
        });
        Ok(Self {
            noted: noted.collect(),
            due: None,
        })
    }

    /// Where the segment that begins at `first` was sealed.
    pub(in crate::spill) fn end_of(&self, first: u64) -> Option<u64> {
        self.noted.get(&first).copied()
    }

    /// The segment that begins at `first` is gone.
    pub(super) fn forget(&mut self, folder: &Folder, first: u64) {
        if let Some(end) = self.noted.remove(&first) {
            // A note of no segment says nothing.
            let _ = folder.remove(&path(folder, first, end));
        }
    }

    /// Only these segments are there.
    pub(super) fn forget_all_but<'f>(&mut self, folder: &Folder, firsts: impl Iterator<Item = &'f u64>) {
        let firsts: BTreeSet<u64> = firsts.copied().collect();
        let gone = self.noted.keys().filter(|first| !firsts.contains(*first));
        for first in gone.copied().collect::<Vec<_>>() {
            self.forget(folder, first);
        }
    }

    /// A segment behind it is durable: that one says where it ends.
    pub(super) fn is_covered(&mut self) {
        self.due = None;
    }
}

impl Storage {
    /// Notes, now or when the disk lets it, that a segment ends here, whatever is found behind.
    pub(super) fn seal(&mut self, first: u64, end: u64) {
        if !seeded::has(Bug::UnsureTailBelieved) {
            self.sealed.due = Some((first, end));
            self.try_seal();
        }
    }

    /// Tries again what the disk did not take.
    pub(super) fn try_seal(&mut self) {
        let Some((first, end)) = self.sealed.due else { return };
        // What the segment says of the streams may be unsure as well.
        let noted = self.keep_streams().and_then(|()| {
            let path = path(&self.folder, first, end);
            let made = self.folder.disk().open(&path, Open::Write);
            made.map_err(|error| SpillError::io("create", &path, error))?;
            self.folder.sync()
        });
        // The failure of the commit has been told; this one says no more.
        if noted.is_ok() {
            self.sealed.noted.insert(first, end);
            self.sealed.due = None;
        }
    }
}

fn path(folder: &Folder, first: u64, end: u64) -> PathBuf {
    folder.path().join(format!("{first:020}-{end:020}.sealed"))
}
