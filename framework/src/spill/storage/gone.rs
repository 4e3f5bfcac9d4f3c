//! Which positions were dropped on purpose while unsettled ones stood before them: nothing is missing there, also after the next start.
//!
//! Each range is a file `FIRST-END.gone`, made before its segment is deleted, so that what a full store gave up is not taken for
//! damage. It begins where frames stood before that segment: what lies in between was settled before it was written, which only the
//! segment said. It goes when everything in the range is settled.

use std::ops::Range;
use std::path::Path;

use super::ranges::Ranges;
use crate::spill::SpillError;
use crate::spill::disk::Disk;
use crate::spill::folder::Folder;

/// The ranges.
#[derive(Debug, Clone)]
pub(in crate::spill) struct Gone(Ranges);

impl Gone {
    /// Those of the store in a directory.
    pub(in crate::spill) fn of(disk: &dyn Disk, path: &Path) -> Result<Self, SpillError> {
        Ranges::of(disk, path, "gone").map(Self)
    }

    /// Durable when this returns.
    pub(super) fn note(&mut self, folder: &Folder, range: &Range<u64>) -> Result<(), SpillError> {
        self.0.note(folder, range)
    }

    /// The same until the next start, for what the cursor has passed.
    pub(super) fn note_passed(&mut self, range: &Range<u64>) {
        self.0.known.insert(range.start, range.end);
    }

    /// Everything below `position` is settled.
    pub(super) fn forget(&mut self, folder: &Folder, position: u64) {
        while let Some((first, _)) = self.0.known.first_key_value().filter(|(_, end)| **end <= position) {
            self.0.forget(folder, *first);
        }
    }

    /// Where the range ends that holds this position.
    pub(in crate::spill) fn end_at(&self, position: u64) -> Option<u64> {
        let (_, end) = self.0.known.range(..=position).next_back()?;
        (*end > position).then_some(*end)
    }

    /// Where the next range begins behind this position.
    pub(in crate::spill) fn next_behind(&self, position: u64) -> Option<u64> {
        self.0.known.range(position + 1..).next().map(|(first, _)| *first)
    }

    /// The end of the last range; 0 without any.
    pub(in crate::spill) fn end(&self) -> u64 {
        self.0.known.values().next_back().copied().unwrap_or(0)
    }
}
