//! What goes wrong in a store's directory, and the containment of panics in the storage engine.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::WhenFull;
use super::record::RecordError;

/// An error of a store's files: what happened, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum SpillError {
    /// The operating system refused something.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// redb refused something, or found its file damaged.
    #[error("cannot {what} {}: {source}", path.display())]
    Engine {
        /// What was tried.
        what: &'static str,
        /// On which segment.
        path: PathBuf,
        /// Why not.
        source: Box<redb::Error>,
    },
    /// redb panicked, as it does on some kinds of damage; the segment is not used any further.
    #[error("cannot {what} {}: the storage engine panicked, so the file must be damaged: {message}", path.display())]
    Panicked {
        /// What was tried.
        what: &'static str,
        /// On which segment.
        path: PathBuf,
        /// What it said.
        message: String,
    },
    /// A record is damaged.
    #[error("the record at position {position} of {} cannot be used: {source}", path.display())]
    Record {
        /// The record's key.
        position: u64,
        /// The segment.
        path: PathBuf,
        /// Why.
        source: RecordError,
    },
    /// The records of a segment do not fit together.
    #[error("{} {what}: it must be damaged", path.display())]
    Misfit {
        /// The segment.
        path: PathBuf,
        /// What does not fit.
        what: &'static str,
    },
    /// Another process uses the directory.
    #[error("{} is in use by {holder}: stop that one first, or name another directory", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Who says so, such as `process 4711`.
        holder: String,
    },
    /// The directory holds no store.
    #[error("{} is no spill store: {why}; name the `directory` of a table under [spills]", path.display())]
    NoStore {
        /// The directory.
        path: PathBuf,
        /// What is there instead.
        why: String,
    },
    /// The directory was written by a newer version; nothing in it was touched.
    #[error("{} has format {found}, this program knows up to {known}: run the version that wrote it, or use another directory", path.display())]
    Newer {
        /// The directory.
        path: PathBuf,
        /// What its `format` file says.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
}

impl SpillError {
    pub(super) fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            what,
            path: path.to_owned(),
            source,
        }
    }

    /// True when there is no room: the disk (ENOSPC), the quota (EDQUOT) or the file size limit (EFBIG).
    pub fn is_full(&self) -> bool {
        matches!(self.errno(), Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG))
    }

    /// True when there is no room, and what `when_full` says helps. Nothing is deleted for a file that may not grow: the next segment is a new one.
    pub fn is_full_for(&self, when_full: WhenFull) -> bool {
        self.is_full() && !(when_full == WhenFull::DropOldest && self.is_file_limit())
    }

    /// True when the file may not grow any more (EFBIG), and another one may.
    pub(crate) fn is_file_limit(&self) -> bool {
        self.errno() == Some(Errno::FBIG)
    }

    /// What it is that is full, in words: the three errors of [`SpillError::is_full`] need different hands.
    pub fn what_is_full(&self) -> Option<&'static str> {
        match self.errno()? {
            Errno::NOSPC => Some("its disk is full"),
            Errno::DQUOT => Some("its disk quota is used up"),
            Errno::FBIG => Some("a file size limit (ulimit -f) stops it"),
            _ => None,
        }
    }

    /// True when trying again cannot help: the file is what is wrong, not the system around it.
    pub(super) fn is_damage(&self) -> bool {
        matches!(self.errno(), None | Some(Errno::IO | Errno::NOENT | Errno::ISDIR))
    }

    /// True when the same may succeed the next time: a disk that does not answer now.
    pub(super) fn may_pass(&self) -> bool {
        self.errno() == Some(Errno::IO)
    }

    /// True when the file is not there.
    pub(super) fn is_missing(&self) -> bool {
        self.errno() == Some(Errno::NOENT)
    }

    /// True when the file system was mounted read-only.
    pub(super) fn is_read_only(&self) -> bool {
        self.errno() == Some(Errno::ROFS)
    }

    fn errno(&self) -> Option<Errno> {
        let source = match self {
            Self::Io { source, .. } => source,
            Self::Engine { source, .. } => match &**source {
                redb::Error::Io(source) => source,
                _ => return None,
            },
            _ => return None,
        };
        source.raw_os_error().map(Errno::from_raw_os_error)
    }
}

/// Runs something on the storage engine; a panic in there becomes an error.
pub(super) fn contain<T>(
    what: &'static str,
    path: &Path,
    act: impl FnOnce() -> Result<T, redb::Error>,
) -> Result<T, SpillError> {
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(result) => result.map_err(|source| SpillError::Engine {
            what,
            path: path.to_owned(),
            source: Box::new(source),
        }),
        Err(panic) => Err(SpillError::Panicked {
            what,
            path: path.to_owned(),
            message: message(&*panic),
        }),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it does not say why").to_owned()
}
