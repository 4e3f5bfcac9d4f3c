//! The disk of the system.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::UNIX_EPOCH;

use super::{Disk, DiskFile, Open};
use crate::units::FileMode;

/// The system's own files. What it makes is its owner's alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl System {
    /// The same, with files that are made with these permissions.
    pub(super) fn open_with(self, path: &Path, how: Open, mode: FileMode) -> io::Result<Box<dyn DiskFile>> {
        if let Some(what) = no_file(path) {
            return Ok(Box::new(NoFile(what)));
        }
        let mut options = OpenOptions::new();
        options.read(true);
        let file = match how {
            Open::Read => options.open(path)?,
            Open::Write => mode.open(options.write(true), path)?,
            Open::Empty => mode.open(options.write(true).truncate(true), path)?,
        };
        Ok(Box::new(SystemFile(file)))
    }

    /// A folder of such files; those above it are made as the umask says.
    pub(super) fn create_folder_with(self, path: &Path, mode: FileMode) -> io::Result<()> {
        let exists = path.is_dir();
        create_folder(path)?;
        if !exists {
            // A file system without permissions has nothing to set.
            let _ = fs::set_permissions(path, Permissions::from_mode(mode.folder_bits()));
        }
        Ok(())
    }
}

impl Disk for System {
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn DiskFile>> {
        self.open_with(path, how, FileMode::default())
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect()
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.create_folder_with(path, FileMode::default())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn is_foreign(&self, path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok() && !fs::metadata(path).is_ok_and(|about| about.is_file())
    }

    fn is_no_folder(&self, path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok() && !path.is_dir()
    }

    fn make_private(&self, path: &Path) -> io::Result<()> {
        fs::set_permissions(path, Permissions::from_mode(FileMode::default().bits()))
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        aqueduct_sys::file::sync_folder(path)
    }

    fn modified_ns(&self, path: &Path) -> Option<u64> {
        let modified = fs::metadata(path).and_then(|metadata| metadata.modified()).ok()?;
        let since = modified.duration_since(UNIX_EPOCH).ok()?;
        u64::try_from(since.as_nanos()).ok()
    }

    fn allocated_bytes(&self, path: &Path) -> io::Result<u64> {
        aqueduct_sys::file::allocated_bytes(path)
    }
}

fn create_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
        create_folder(above)?;
        fs::create_dir(path).or_else(ignore_existing)?;
        return System.sync_folder(above);
    }
    fs::create_dir(path).or_else(ignore_existing)
}

/// What stands there that is neither a file nor a folder: to open it may wait for ever (fifo(7)), or have effects.
fn no_file(path: &Path) -> Option<&'static str> {
    // What cannot be looked at is for the attempt to open it to say.
    let kind = fs::metadata(path).ok()?.file_type();
    match kind {
        _ if kind.is_file() || kind.is_dir() => None,
        _ if kind.is_fifo() => Some("it is a named pipe, not a file"),
        _ if kind.is_socket() => Some("it is a socket, not a file"),
        _ => Some("it is a device, not a file"),
    }
}

/// Somebody else made the folder at the same moment.
fn ignore_existing(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::AlreadyExists => Ok(()),
        _ => Err(error),
    }
}

#[derive(Debug)]
struct SystemFile(File);

impl DiskFile for SystemFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(into, at)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, at)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn reserve(&self, bytes: u64) -> io::Result<()> {
        aqueduct_sys::file::reserve(&self.0, 0, bytes)
    }

    fn try_lock(&self) -> io::Result<bool> {
        aqueduct_sys::file::lock_exclusive(&self.0)
    }
}

/// What was not opened; whatever is asked of it fails and says why.
#[derive(Debug)]
struct NoFile(&'static str);

impl NoFile {
    fn refuse<T>(&self) -> io::Result<T> {
        Err(io::Error::new(io::ErrorKind::InvalidInput, self.0))
    }
}

impl DiskFile for NoFile {
    fn len(&self) -> io::Result<u64> {
        self.refuse()
    }

    fn read_at(&self, _: u64, _: &mut [u8]) -> io::Result<()> {
        self.refuse()
    }

    fn write_at(&self, _: u64, _: &[u8]) -> io::Result<()> {
        self.refuse()
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        self.refuse()
    }

    fn sync(&self) -> io::Result<()> {
        self.refuse()
    }

    fn reserve(&self, _: u64) -> io::Result<()> {
        self.refuse()
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.refuse()
    }
}
