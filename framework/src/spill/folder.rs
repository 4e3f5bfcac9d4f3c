//! The directory of a store: who uses it, which format it has, what is in it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::SpillError;
use super::disk::{self, Disk, DiskFile, Open};
use crate::seeded::{self, Bug};

/// The format this program writes, and the newest it reads.
///
/// | format | records |
/// |---|---|
/// | 1 | begin with their version only |
/// | 2 | begin with a mark by which they are found in a damaged segment, and say where the one before ended |
/// | 3 | as in 2; beside them stand named cursors, which a program that does not know them would pass |
/// | 4 | beside them stands how far streams from other Aqueducts are, which a program that does not know it would forget |
///
/// A store has the lowest format that says what is in it.
pub const FORMAT: u32 = 4;
/// What a new store begins with, and an older one becomes at the next start.
pub const FIRST_FORMAT: u32 = 2;
/// The format of a store that is read by named cursors.
pub(super) const CURSORS_FORMAT: u32 = 3;
/// The format of a store in which streams end.
pub(super) const STREAMS_FORMAT: u32 = 4;
const FORMAT_WORD: &str = "aqueduct-spill";
/// The process id in the `lock` file, padded so that it is replaced in place: that takes no space on a full disk.
const HOLDER_BYTES: usize = 20;
/// Positions are written with all the digits a u64 can have, so that names sort as positions do.
pub(super) const POSITION_DIGITS: usize = 20;

/// The files of a store beside its segments.
const SIDE_FILES: [&str; 7] = ["lock", "main.cursor", "stream", "streams", "reserve", "ages", "run"];
/// So many names are tried for what is set aside.
const ASIDE_AT_MOST: u32 = 100;

/// What stands in the place of a store's file and is none gets another name: it is no reason not to start.
pub(super) fn set_aside_foreign(disk: &dyn Disk, path: &Path) {
    if disk.is_foreign(path) {
        set_aside(disk, path, "file");
    }
}

/// The same for what stands in the place of a folder, such as a file, or a link that leads nowhere.
pub(super) fn set_aside_no_folder(disk: &dyn Disk, path: &Path) {
    if disk.is_no_folder(path) {
        set_aside(disk, path, "folder");
    }
}

fn set_aside(disk: &dyn Disk, path: &Path, what: &str) {
    let aside = (1..=ASIDE_AT_MOST).map(|number| path.with_added_extension(format!("foreign{number}")));
    let Some(aside) = aside
        .into_iter()
        .find(|aside| disk.allocated_bytes(aside).is_err() && !disk.is_foreign(aside) && !disk.is_no_folder(aside))
    else {
        return;
    };
    // Where it cannot be renamed, whoever opens it says what is wrong.
    if disk.rename(path, &aside).is_ok() {
        tracing::warn!(
            "{} was no {what} of a store: it is {} now",
            path.display(),
            aside.display()
        );
    }
}

/// A directory in use by this process alone, until it is dropped.
#[derive(Debug)]
pub(super) struct Folder {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    format: u32,
    _lock: Box<dyn DiskFile>,
}

impl Folder {
    /// Creates the directory if need be, checks its format and locks it. An older format becomes the present one.
    pub(super) fn open(disk: Arc<dyn Disk>, path: &Path) -> Result<Self, SpillError> {
        set_aside_foreign(&*disk, &path.join("format"));
        set_aside_foreign(&*disk, &path.join("format.tmp"));
        check_format(&*disk, path)?;
        disk.create_folder(path)
            .map_err(|error| SpillError::io("create", path, error))?;
        for name in SIDE_FILES {
            set_aside_foreign(&*disk, &path.join(name));
            set_aside_foreign(&*disk, &path.join(name).with_added_extension("tmp"));
        }
        let lock = lock(&*disk, path)?;
        let found = check_format(&*disk, path)?;
        let mut folder = Self {
            path: path.to_owned(),
            _lock: lock,
            format: found.unwrap_or(0),
            disk,
        };
        folder.require(FIRST_FORMAT)?;
        folder.sync()?;
        Ok(folder)
    }

    /// Makes it one of this format at least.
    pub(super) fn require(&mut self, format: u32) -> Result<(), SpillError> {
        if self.format >= format {
            return Ok(());
        }
        let name = self.path.join("format");
        disk::write_durably(&*self.disk, &name, format_text(format).as_bytes())
            .map_err(|error| SpillError::io("write", &name, error))?;
        self.format = format;
        self.sync()
    }

    /// The directory.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What it is on.
    pub(super) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// Makes created, renamed and deleted names durable.
    pub(super) fn sync(&self) -> Result<(), SpillError> {
        if seeded::has(Bug::SkipFolderFsync) {
            return Ok(());
        }
        self.disk
            .sync_folder(&self.path)
            .map_err(|error| SpillError::io("sync the folder", &self.path, error))
    }

    /// The file of the segment that begins at `first`.
    pub(super) fn segment(&self, first: u64) -> PathBuf {
        self.path.join(format!("{first:020}.redb"))
    }

    /// The bytes a segment takes on disk.
    pub(super) fn allocated_bytes(&self, path: &Path) -> u64 {
        self.disk.allocated_bytes(path).unwrap_or(0)
    }

    /// An error when somebody has deleted a file that is open.
    pub(super) fn check_named(&self, path: &Path) -> Result<(), SpillError> {
        match self.disk.allocated_bytes(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(SpillError::io("find", path, error)),
            _ => Ok(()),
        }
    }

    pub(super) fn remove(&self, path: &Path) -> Result<(), SpillError> {
        match self.disk.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(SpillError::io("delete", path, error)),
            _ => Ok(()),
        }
    }

    /// The segments, ascending. Files of segments that never had a commit are removed: nothing in them was acknowledged.
    pub(super) fn segments(&self) -> Result<Vec<u64>, SpillError> {
        let names = self.disk.names(&self.path);
        let names = names.map_err(|error| SpillError::io("list", &self.path, error))?;
        let mut firsts = Vec::new();
        for name in names {
            if is_unfinished(&name) {
                if seeded::has(Bug::KeepUnfinishedSegments) {
                    let named = self.path.join(name.trim_end_matches(".new"));
                    let _ = self.disk.rename(&self.path.join(&name), &named);
                    firsts.extend(name.trim_end_matches(".redb.new").parse::<u64>());
                    continue;
                }
                self.remove(&self.path.join(name))?;
            } else {
                firsts.extend(first_of(&name));
            }
        }
        firsts.sort_unstable();
        Ok(firsts)
    }
}

/// The first position of the segment that a file of this name is; none for names that no store gives, which are left alone.
pub(super) fn first_of(name: &str) -> Option<u64> {
    position_of(name.strip_suffix(".redb")?)
}

/// A position as it stands in the names of files.
pub(super) fn position_of(digits: &str) -> Option<u64> {
    let ours = digits.len() == POSITION_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    ours.then(|| digits.parse().ok()).flatten()
}

/// Whether a file of this name is a segment that never had a commit.
pub(super) fn is_unfinished(name: &str) -> bool {
    name.strip_suffix(".new").and_then(first_of).is_some()
}

fn format_text(format: u32) -> String {
    let version = format!("{FORMAT_WORD} {format}");
    format!("{version} {:08x}\n", crc32c::crc32c(version.as_bytes()))
}

/// The format of a directory; none of a new one, or when bits have changed in the file that says it: records say their version themselves.
pub(super) fn check_format(disk: &dyn Disk, path: &Path) -> Result<Option<u32>, SpillError> {
    let name = path.join("format");
    let text = match disk::read(disk, &name) {
        Ok(text) => String::from_utf8_lossy(&text).trim().to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(SpillError::io("read", &name, error)),
    };
    let words: Vec<&str> = text.split(' ').collect();
    let (version, checked) = match words[..] {
        [FORMAT_WORD, version] => (version, true),
        [FORMAT_WORD, version, crc] => {
            let wanted = crc32c::crc32c(format!("{FORMAT_WORD} {version}").as_bytes());
            (version, u32::from_str_radix(crc, 16) == Ok(wanted))
        }
        _ => return Ok(None),
    };
    match version.parse() {
        Ok(version) if checked && version > FORMAT => Err(SpillError::Newer {
            path: path.to_owned(),
            found: version,
            known: FORMAT,
        }),
        Ok(version) if checked => Ok(Some(version)),
        _ => Ok(None),
    }
}

fn lock(disk: &dyn Disk, path: &Path) -> Result<Box<dyn DiskFile>, SpillError> {
    let name = path.join("lock");
    let failed = |error| SpillError::io("lock", &name, error);
    let file = disk.open(&name, Open::Write).map_err(failed)?;
    // Whoever may open it may lock it. One that belongs to somebody else stays as it is.
    let _ = disk.make_private(&name);
    if !file.try_lock().map_err(failed)? {
        let holder = disk::read(disk, &name).unwrap_or_default();
        let holder = match String::from_utf8_lossy(&holder).trim() {
            "" => "another process".to_owned(),
            id => format!("process {id}"),
        };
        return Err(SpillError::InUse {
            path: path.to_owned(),
            holder,
        });
    }
    let holder = format!("{:<width$}\n", std::process::id(), width = HOLDER_BYTES - 1);
    match file.write_at(0, holder.as_bytes()).map_err(failed) {
        // Who holds it is only for the message to others: a full disk is no reason not to drain it.
        Err(error) if !error.is_full() => Err(error),
        _ => Ok(file),
    }
}
