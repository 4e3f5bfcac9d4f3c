//! The file operations a store uses, as a seam: [`System`] carries them out, the harness puts a disk there that fails, lies, or
//! loses its power.
//!
//! What a store relies on, and nothing more: a write is there after its file was synced, whole sectors of 512 bytes are written or not; a
//! file created, renamed or removed is so after its folder was synced; a rename replaces in one step.

mod backend;
mod frozen;
mod owned;
mod system;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::io;
use std::path::Path;

pub(super) use backend::{Direct, Overlay};
pub(super) use frozen::Frozen;
pub(super) use owned::Owned;
pub use system::System;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// For reading; it must exist.
    Read,
    /// For reading and writing; made when missing.
    Write,
    /// For reading and writing; empty, whatever was there before.
    Empty,
}

/// A file system. Calls may block.
pub trait Disk: Debug + Send + Sync {
    /// Opens a file.
    ///
    /// # Errors
    /// Those of open(2).
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn DiskFile>>;

    /// The names in a folder, in any order.
    ///
    /// # Errors
    /// Those of readdir(3).
    fn names(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Makes a folder and those above it; fine when it exists. Its name in the folder above is made durable.
    ///
    /// # Errors
    /// Those of mkdir(2) and fsync(2).
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// Gives a file another name, which may be taken.
    ///
    /// # Errors
    /// Those of rename(2).
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// Those of unlink(2).
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Whether something stands there that is no file, nor a link to one: a folder, a named pipe, a device, a link that leads nowhere.
    fn is_foreign(&self, path: &Path) -> bool {
        let _ = path;
        false
    }

    /// Whether something stands there that is no folder, nor a link to one.
    fn is_no_folder(&self, path: &Path) -> bool {
        let _ = path;
        false
    }

    /// Takes away everybody's permissions but its owner's; nothing where there are none.
    ///
    /// # Errors
    /// Those of chmod(2).
    fn make_private(&self, path: &Path) -> io::Result<()> {
        let _ = path;
        Ok(())
    }

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// Those of fsync(2).
    fn sync_folder(&self, path: &Path) -> io::Result<()>;

    /// When a file was written last, in nanoseconds since 1970; none where that is not known.
    fn modified_ns(&self, path: &Path) -> Option<u64> {
        let _ = path;
        None
    }

    /// The bytes a file takes on disk (allocated blocks, not its length: segments are sparse).
    ///
    /// # Errors
    /// Those of stat(2).
    fn allocated_bytes(&self, path: &Path) -> io::Result<u64>;
}

/// An open file.
#[allow(clippy::len_without_is_empty)]
pub trait DiskFile: Debug + Send + Sync {
    /// Its length in bytes.
    ///
    /// # Errors
    /// Those of fstat(2).
    fn len(&self) -> io::Result<u64>;

    /// Fills `into` with what stands from `at` on.
    ///
    /// # Errors
    /// Those of pread(2); `UnexpectedEof` when the file ends before.
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()>;

    /// Writes all of `bytes`; after an error any part of them may have been written.
    ///
    /// # Errors
    /// Those of pwrite(2).
    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts it, or lengthens it with zeros.
    ///
    /// # Errors
    /// Those of ftruncate(2).
    fn set_len(&self, bytes: u64) -> io::Result<()>;

    /// Makes what was written durable, the length included.
    ///
    /// # Errors
    /// Those of fdatasync(2); nothing written since the last success is sure then.
    fn sync(&self) -> io::Result<()>;

    /// Takes disk space for its first `bytes` now (fallocate(2)); the length stays.
    ///
    /// # Errors
    /// Those of fallocate(2).
    fn reserve(&self, bytes: u64) -> io::Result<()>;

    /// Takes the lock that ends with this open file; false when somebody else holds it.
    ///
    /// # Errors
    /// Those of flock(2).
    fn try_lock(&self) -> io::Result<bool>;
}

/// Writes a whole file under a temporary name, syncs it, and gives it its name. The folder is not synced.
pub(super) fn write_durably(disk: &dyn Disk, path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_added_extension("tmp");
    let file = disk.open(&temporary, Open::Empty)?;
    file.write_at(0, content)?;
    file.sync()?;
    disk.rename(&temporary, path)
}

/// The disk gets this many chances to read something before what it does not give counts as damaged.
pub(super) const READS_AT_MOST: u32 = 3;

/// Asks again for what the disk did not give: a failure that passes must not make an older place count.
pub(super) fn patiently<T, E>(mut ask: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    for _ in 0..READS_AT_MOST {
        if let Ok(asked) = ask() {
            return Ok(asked);
        }
    }
    ask()
}

/// The whole content of a small file.
pub(super) fn read(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let file = disk.open(path, Open::Read)?;
    let mut content = vec![0; usize::try_from(file.len()?).unwrap_or(usize::MAX)];
    file.read_at(0, &mut content)?;
    Ok(content)
}
