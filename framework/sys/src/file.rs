//! A file or folder on disk: its space, the durability of its name, and who may use it.

#[cfg(test)]
mod tests;

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate, statvfs};

/// The unit of `st_blocks`, whatever the file system's block size is (stat(2)), in bytes.
const STAT_BLOCK_BYTES: u64 = 512;

/// Reserves disk space for `bytes` from `offset` on, so that later writes there cannot fail for lack of it
/// (`FALLOC_FL_KEEP_SIZE`, fallocate(2)). The file's length and contents stay as they are.
///
/// A file system that copies on write (btrfs, ZFS) may still run out of space when a reserved block is written twice.
///
/// # Errors
/// `StorageFull` or `QuotaExceeded` when the space is not there, `FileTooLarge` past the limit of the process,
/// `Unsupported` when the file system cannot reserve. May wait for the disk: not for an event loop.
pub fn reserve(file: &File, offset: u64, bytes: u64) -> io::Result<()> {
    Ok(fallocate(file, FallocateFlags::KEEP_SIZE, offset, bytes)?)
}

/// Makes the names in a folder durable: files created, renamed or removed there stay so after a power cut (fsync(2)).
///
/// The contents of those files need their own `sync_data`. Waits for the disk.
pub fn sync_folder(path: impl AsRef<Path>) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Bytes of disk a file occupies, holes left out and reserved space included (`st_blocks`, stat(2)).
pub fn allocated_bytes(path: impl AsRef<Path>) -> io::Result<u64> {
    Ok(fs::metadata(path)?.blocks() * STAT_BLOCK_BYTES)
}

/// Bytes that this user may still write on the file system of a path (`f_bavail`, statvfs(3)). Quotas are not in it.
pub fn free_bytes(path: impl AsRef<Path>) -> io::Result<u64> {
    let disk = statvfs(path.as_ref())?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Takes the exclusive lock of an open file (flock(2)); `false` when somebody else holds it. Never waits.
///
/// The lock belongs to the open file: it goes when the last descriptor of it is closed, at the latest with the
/// process. It binds only those who ask for it.
pub fn lock_exclusive(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
