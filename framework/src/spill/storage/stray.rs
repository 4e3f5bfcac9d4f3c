//! Files that somebody put among the segments, such as a copy of one under another number: they hide what stands in the one before.

use super::damage::Opened;
use super::{Damage, Storage};
use crate::spill::SpillError;
use crate::spill::record::decode;
use crate::spill::segment::Reader;

impl Storage {
    /// Sets aside what is no segment of this store among those that begin at `position` or before. Each is looked at once.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub(super) fn vet(&mut self, position: u64) -> Result<(), SpillError> {
        let begun = self.closed.range(..=position);
        let new: Vec<u64> = begun
            .filter(|(_, closed)| !closed.vetted)
            .map(|(first, _)| *first)
            .collect();
        for first in new {
            match self.stray_key(first) {
                Some(key) => self.expel(first, key)?,
                None => {
                    if let Some(closed) = self.closed.get_mut(&first) {
                        closed.vetted = true;
                    }
                }
            }
        }
        Ok(())
    }

    /// See [`elsewhere`].
    pub(super) fn stray_key(&mut self, first: u64) -> Option<u64> {
        // The end of the newest is not known while the store is opened.
        let end = Some(self.end_of(first)).filter(|end| *end > first);
        let Ok(Opened::Tree(reader)) = self.opened(first) else {
            return None;
        };
        elsewhere(reader, first, end)
    }

    /// Sets such a file aside.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub(super) fn expel(&mut self, first: u64, key: u64) -> Result<(), SpillError> {
        self.reader = None;
        let path = self.folder.segment(first);
        let damage = Damage {
            why: format!(
                "its records stand at position {key} and behind, not where its name says: it is no segment of this store"
            ),
            records: 0,
            lost: 0,
            complete: true,
        };
        self.quarantine.describe(&path, &damage);
        self.quarantine.keep(&path)?;
        self.damaged += 1;
        self.closed.remove(&first);
        self.folder.sync()
    }
}

/// Where the first record of a file stands, if that does not belong there by its name: before `first`, or at `end` or behind. A damaged
/// file does not say.
pub(in crate::spill) fn elsewhere(reader: &Reader, first: u64, end: Option<u64>) -> Option<u64> {
    let (key, value) = reader.first_from(0).ok()??;
    // The checksum covers the position: no changed bit makes a record one of another place.
    decode(key, &value).ok()?;
    (key < first || end.is_some_and(|end| key >= end)).then_some(key)
}
