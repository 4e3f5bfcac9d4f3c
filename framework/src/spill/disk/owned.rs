//! The disk of the system as a store in use needs it: files of a mode, and file descriptors in reserve.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use super::{Disk, DiskFile, Open, System};
use crate::units::FileMode;

/// So many descriptors are held back: enough for the most files that are opened one after the other, in a rollover with its folder.
const SPARE: usize = 8;

/// The system's disk. Connections of strangers may use up the process' descriptors; a store must still begin a segment then.
#[derive(Debug)]
pub(in crate::spill) struct Owned {
    mode: FileMode,
    spare: Mutex<Vec<File>>,
}

impl Owned {
    pub(in crate::spill) fn new(mode: FileMode) -> Self {
        let owned = Self {
            mode,
            spare: Mutex::default(),
        };
        owned.renew();
        owned
    }

    /// Does what needs a descriptor; with one from the reserve when there is no other.
    fn with_spare<T>(&self, act: impl Fn() -> io::Result<T>) -> io::Result<T> {
        loop {
            match act() {
                // Somebody may be quicker than we are, so there are several.
                Err(error) if is_out_of_descriptors(&error) && self.spare().pop().is_some() => {}
                done => {
                    self.renew();
                    return done;
                }
            }
        }
    }

    /// Fills the reserve, as far as there is something to fill it with.
    fn renew(&self) {
        let mut spare = self.spare();
        while spare.len() < SPARE {
            let Ok(file) = File::open("/dev/null") else { return };
            spare.push(file);
        }
    }

    fn spare(&self) -> MutexGuard<'_, Vec<File>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE))
}

impl Disk for Owned {
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn DiskFile>> {
        self.with_spare(|| System.open_with(path, how, self.mode))
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.with_spare(|| System.names(folder))
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.with_spare(|| System.create_folder_with(path, self.mode))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        System.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        System.remove(path)
    }

    fn is_foreign(&self, path: &Path) -> bool {
        System.is_foreign(path)
    }

    fn is_no_folder(&self, path: &Path) -> bool {
        System.is_no_folder(path)
    }

    fn make_private(&self, path: &Path) -> io::Result<()> {
        System.make_private(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.with_spare(|| System.sync_folder(path))
    }

    fn modified_ns(&self, path: &Path) -> Option<u64> {
        System.modified_ns(path)
    }

    fn allocated_bytes(&self, path: &Path) -> io::Result<u64> {
        System.allocated_bytes(path)
    }
}
