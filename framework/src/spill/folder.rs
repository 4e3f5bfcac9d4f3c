//! The directory of a store: who uses it, which format it has, what is in it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::SpillError;

/// The format this program writes, and the newest it reads.
pub const FORMAT: u32 = 1;
const FORMAT_WORD: &str = "aqueduct-spill";

/// A directory in use by this process alone, until it is dropped.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Creates the directory if need be, checks its format and locks it.
    pub(super) fn open(path: &Path) -> Result<Self, SpillError> {
        check_format(path)?;
        fs::create_dir_all(path).map_err(|error| SpillError::io("create", path, error))?;
        let lock = lock(path)?;
        if check_format(path)?.is_none() {
            let name = path.join("format");
            write_durably(&name, format!("{FORMAT_WORD} {FORMAT}\n").as_bytes())
                .map_err(|error| SpillError::io("write", &name, error))?;
        }
        let folder = Self {
            path: path.to_owned(),
            _lock: lock,
        };
        folder.sync()?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            sync(parent)?;
        }
        Ok(folder)
    }

    /// The directory.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes created, renamed and deleted names durable.
    pub(super) fn sync(&self) -> Result<(), SpillError> {
        sync(&self.path)
    }

    /// The file of the segment that begins at `first`.
    pub(super) fn segment(&self, first: u64) -> PathBuf {
        self.path.join(format!("{first:020}.redb"))
    }

    /// The segments, ascending. Files of segments that never had a commit are removed: nothing in them was acknowledged.
    pub(super) fn segments(&self) -> Result<Vec<u64>, SpillError> {
        let list = || -> io::Result<Vec<u64>> {
            let mut firsts = Vec::new();
            for entry in fs::read_dir(&self.path)? {
                let entry = entry?;
                let name = entry.file_name();
                let Some(name) = name.to_str() else { continue };
                if name.ends_with(".redb.new") {
                    fs::remove_file(entry.path())?;
                } else if let Some(first) = name.strip_suffix(".redb").and_then(|first| first.parse().ok()) {
                    firsts.push(first);
                }
            }
            firsts.sort_unstable();
            Ok(firsts)
        };
        list().map_err(|error| SpillError::io("list", &self.path, error))
    }
}

/// The bytes a file takes on disk (allocated blocks, not its length: segments are sparse).
pub(super) fn allocated_bytes(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |data| data.blocks() * 512)
}

/// Writes a whole file under a temporary name, syncs it, and gives it its name. The folder is not synced.
pub(super) fn write_durably(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_added_extension("tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

fn sync(path: &Path) -> Result<(), SpillError> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| SpillError::io("sync the folder", path, error))
}

fn check_format(path: &Path) -> Result<Option<u32>, SpillError> {
    let name = path.join("format");
    let text = match fs::read_to_string(&name) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(SpillError::io("read", &name, error)),
    };
    let version = text
        .trim()
        .strip_prefix(FORMAT_WORD)
        .and_then(|version| version.trim().parse().ok());
    match version {
        Some(version) if version <= FORMAT => Ok(Some(version)),
        _ => Err(SpillError::Newer {
            path: path.to_owned(),
            found: format!("{:?}", text.trim()),
            known: FORMAT,
        }),
    }
}

fn lock(path: &Path) -> Result<File, SpillError> {
    let name = path.join("lock");
    let failed = |error| SpillError::io("lock", &name, error);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&name)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            let holder = match holder.trim() {
                "" => "another process".to_owned(),
                id => format!("process {id}"),
            };
            return Err(SpillError::InUse {
                path: path.to_owned(),
                holder,
            });
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    file.set_len(0).map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}
