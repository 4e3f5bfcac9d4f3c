//! A little disk space held back, so that the cursor can move on a full disk and the store drain.

use crate::spill::disk::Open;
use crate::spill::folder::Folder;

/// Enough for the cursor's two pages on file systems that copy them, with what those need of their own.
const RESERVE_BYTES: u64 = 256 << 10;
const NAME: &str = "reserve";

/// The file `reserve` of a store.
#[derive(Debug)]
pub(super) struct Reserve {
    held: bool,
}

impl Reserve {
    /// Takes the space if there is any: a store on a full disk is opened all the same.
    pub(super) fn open(folder: &Folder) -> Self {
        Self { held: take(folder) }
    }

    /// Lets go of the space; false when there was none left.
    pub(super) fn give_up(&mut self, folder: &Folder) -> bool {
        let held = std::mem::take(&mut self.held);
        held && folder.remove(&folder.path().join(NAME)).is_ok() && folder.sync().is_ok()
    }

    /// Takes the space again, once something could be written.
    pub(super) fn renew(&mut self, folder: &Folder) {
        if !self.held {
            self.held = take(folder);
        }
    }
}

/// Where space cannot be reserved (`EOPNOTSUPP`), none is.
fn take(folder: &Folder) -> bool {
    let path = folder.path().join(NAME);
    let taken = folder.disk().open(&path, Open::Write);
    taken.and_then(|file| file.reserve(RESERVE_BYTES)).is_ok()
}
