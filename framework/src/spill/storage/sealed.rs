//! Where segments ended when a commit to them failed.
//!
//! What such a commit wrote may be read back until the system forgets it: after a failed fsync the kernel counts pages as clean that it could not
//! write, and drops them when it needs the memory (Rebello and others, "Can Applications Recover from fsync Failures?", USENIX ATC 2020). A start that
//! believed them would put frames behind others that are gone later. So the end that was confirmed is noted at once, in an empty file
//! `FIRST-END.sealed`. It goes with its segment.

use std::collections::BTreeSet;
use std::path::Path;

use super::Storage;
use super::ranges::Ranges;
use crate::seeded::{self, Bug};
use crate::spill::SpillError;
use crate::spill::disk::Disk;
use crate::spill::folder::Folder;

/// The segments, first position -> end.
#[derive(Debug, Clone)]
pub(in crate::spill) struct Sealed {
    noted: Ranges,
    /// One that the disk did not take a note of.
    due: Option<(u64, u64)>,
}

impl Sealed {
    /// Those of the store in a directory.
    pub(in crate::spill) fn of(disk: &dyn Disk, path: &Path) -> Result<Self, SpillError> {
        let noted = Ranges::of(disk, path, "sealed")?;
        Ok(Self { noted, due: None })
    }

    /// Where the segment that begins at `first` was sealed.
    pub(in crate::spill) fn end_of(&self, first: u64) -> Option<u64> {
        self.noted.known.get(&first).copied()
    }

    /// The segment that begins at `first` is gone.
    pub(super) fn forget(&mut self, folder: &Folder, first: u64) {
        self.noted.forget(folder, first);
    }

    /// Only these segments are there.
    pub(super) fn forget_all_but<'f>(&mut self, folder: &Folder, firsts: impl Iterator<Item = &'f u64>) {
        let firsts: BTreeSet<u64> = firsts.copied().collect();
        let noted: BTreeSet<u64> = self.noted.known.keys().copied().collect();
        for first in noted.difference(&firsts) {
            self.forget(folder, *first);
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
        let noted = self.keep_streams();
        // The failure of the commit has been told; this one says no more.
        if noted.is_ok() && self.sealed.noted.note(&self.folder, &(first..end)).is_ok() {
            self.sealed.due = None;
        }
    }
}
