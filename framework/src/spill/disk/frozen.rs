//! A file system that was mounted read-only, as a store in use sees it: what would be changed is changed in memory, and lasts as long as the run.
//!
//! So what is stored can be delivered, and nothing of it is deleted. Segments cannot be written: what arrives is not stored.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use super::{Disk, DiskFile, Open, read};

/// The disk below, and what has changed since.
#[derive(Debug)]
pub(in crate::spill) struct Frozen {
    disk: Arc<dyn Disk>,
    changes: Mutex<Changes>,
}

#[derive(Debug, Default)]
struct Changes {
    /// Files that are not as they are on the disk.
    files: BTreeMap<PathBuf, Content>,
    /// Files that seem to be gone.
    gone: BTreeSet<PathBuf>,
}

type Content = Arc<Mutex<Vec<u8>>>;

impl Frozen {
    pub(in crate::spill) fn new(disk: Arc<dyn Disk>) -> Self {
        Self {
            disk,
            changes: Mutex::default(),
        }
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_below(&self, path: &Path) -> bool {
        self.disk.allocated_bytes(path).is_ok()
    }
}

impl Disk for Frozen {
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn DiskFile>> {
        let mut changes = self.changes();
        let known = changes.files.get(path).cloned();
        let gone = changes.gone.contains(path);
        match (how, known) {
            (Open::Read, None) if gone => Err(io::ErrorKind::NotFound.into()),
            (Open::Read, None) => self.disk.open(path, Open::Read),
            (Open::Read | Open::Write, Some(content)) => Ok(Box::new(Changed { content, below: None })),
            // A segment in memory would be taken for one on disk.
            _ if is_segment(path) => Err(Errno::ROFS.into()),
            _ => {
                let kept = how == Open::Write && !gone && self.is_below(path);
                let content = if kept { read(&*self.disk, path)? } else { Vec::new() };
                let below = if kept {
                    self.disk.open(path, Open::Read).ok()
                } else {
                    None
                };
                let content = Arc::new(Mutex::new(content));
                changes.files.insert(path.to_owned(), content.clone());
                Ok(Box::new(Changed { content, below }))
            }
        }
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut names = match self.disk.names(folder) {
            // It may have been made since.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            names => names?,
        };
        let changes = self.changes();
        names.retain(|name| !changes.gone.contains(&folder.join(name)));
        for path in changes.files.keys().filter(|path| path.parent() == Some(folder)) {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            names.extend(name.filter(|name| !names.contains(name)));
        }
        Ok(names)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        // The store itself is there; so only its own folders are made, for files in memory.
        let _ = path;
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut changes = self.changes();
        match changes.files.remove(from) {
            Some(content) => {
                changes.files.insert(to.to_owned(), content);
                changes.gone.remove(to);
            }
            // It is out of the way; where it went nobody asks.
            None if self.is_below(from) || self.disk.is_foreign(from) => {}
            None => return Err(io::ErrorKind::NotFound.into()),
        }
        changes.gone.insert(from.to_owned());
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut changes = self.changes();
        let changed = changes.files.remove(path).is_some();
        let below = self.is_below(path) && changes.gone.insert(path.to_owned());
        if changed || below {
            return Ok(());
        }
        Err(io::ErrorKind::NotFound.into())
    }

    fn is_foreign(&self, path: &Path) -> bool {
        let changes = self.changes();
        !changes.files.contains_key(path) && !changes.gone.contains(path) && self.disk.is_foreign(path)
    }

    fn is_no_folder(&self, path: &Path) -> bool {
        !self.changes().gone.contains(path) && self.disk.is_no_folder(path)
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn modified_ns(&self, path: &Path) -> Option<u64> {
        self.disk.modified_ns(path)
    }

    fn allocated_bytes(&self, path: &Path) -> io::Result<u64> {
        let changes = self.changes();
        if let Some(content) = changes.files.get(path) {
            return Ok(lock(content).len() as u64);
        }
        if changes.gone.contains(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.disk.allocated_bytes(path)
    }
}

fn is_segment(path: &Path) -> bool {
    path.to_string_lossy().trim_end_matches(".new").ends_with(".redb")
}

fn lock(content: &Content) -> MutexGuard<'_, Vec<u8>> {
    content.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file that was changed, or may be.
#[derive(Debug)]
struct Changed {
    content: Content,
    /// The file on the disk: for its lock.
    below: Option<Box<dyn DiskFile>>,
}

impl DiskFile for Changed {
    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.content).len() as u64)
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let content = lock(&self.content);
        let from = usize::try_from(at).unwrap_or(usize::MAX);
        let found = content.get(from..).and_then(|rest| rest.get(..into.len()));
        into.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut content = lock(&self.content);
        let from = usize::try_from(at).map_err(|_| Errno::FBIG)?;
        let end = from + bytes.len();
        if content.len() < end {
            content.resize(end, 0);
        }
        content[from..end].copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let bytes = usize::try_from(bytes).map_err(|_| Errno::FBIG)?;
        lock(&self.content).resize(bytes, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn reserve(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.below.as_ref().map_or(Ok(true), |below| below.try_lock())
    }
}
