//! How the last run ended, and who it was: the file `run`.
//!
//! ```text
//! aqueduct-run 1
//! legacy-feed drain                 the pipeline and the actor that use the store, when that is known
//! ended 812345                      or `running`: the position behind the last frame at an orderly end
//! 5d0c1b2a                          CRC32C of all lines before
//! ```
//! It says what no segment can: that the newest one is missing. A run that is killed leaves `running` behind.

use std::path::{Path, PathBuf};

use crate::spill::disk::{self, Disk};
use crate::spill::folder::first_of;

const WORD: &str = "aqueduct-run 1";
const NAME: &str = "run";
const RUNNING: &str = "running";
const ENDED: &str = "ended ";

/// What a start finds of the last run, and what it leaves to the next.
#[derive(Debug)]
pub(super) struct Run {
    path: PathBuf,
    owner: String,
    found: Option<Option<u64>>,
    /// Another store beside this one has the same owner, and frames.
    left_behind: Option<PathBuf>,
}

impl Run {
    /// Of the store in a directory. `owner`: who uses it from now on; empty for tools, which change nothing about that.
    pub(super) fn of(disk: &dyn Disk, store: &Path, owner: &str) -> Self {
        let path = store.join(NAME);
        let found = read(disk, &path);
        let before = found.as_ref().map(|(owner, _)| owner.clone()).unwrap_or_default();
        let left_behind = match &found {
            // It is looked for once, by who begins a new store.
            None if !owner.is_empty() => left_behind(disk, store, owner),
            _ => None,
        };
        Self {
            path,
            owner: if owner.is_empty() { before } else { owner.to_owned() },
            found: found.map(|(_, ended)| ended),
            left_behind,
        }
    }

    /// The position behind the last frame, as the last run noted it at its end.
    pub(super) fn ended_at(&self) -> Option<u64> {
        self.found.flatten()
    }

    /// The last run was killed.
    pub(super) fn was_killed(&self) -> bool {
        self.found == Some(None)
    }

    pub(super) fn left_behind(&self) -> Option<&Path> {
        self.left_behind.as_deref()
    }

    /// From now on a kill is seen. What cannot be noted, on a full disk, is not told by the next start.
    pub(super) fn begin(&self, disk: &dyn Disk) {
        self.note(disk, RUNNING);
    }

    /// Everything is closed in order.
    pub(super) fn end(&self, disk: &dyn Disk, tail: u64) {
        self.note(disk, &format!("{ENDED}{tail}"));
    }

    fn note(&self, disk: &dyn Disk, how: &str) {
        let body = format!("{WORD}\n{}\n{how}\n", self.owner);
        let text = format!("{body}{:08x}\n", crc32c::crc32c(body.as_bytes()));
        let _ = disk::write_durably(disk, &self.path, text.as_bytes());
    }
}

/// Who used a store last, and where it ended; none of the latter when it was killed. None of a store that does not say.
fn read(disk: &dyn Disk, path: &Path) -> Option<(String, Option<u64>)> {
    let text = disk::read(disk, path).ok()?;
    let text = String::from_utf8(text).ok()?;
    let (body, crc) = text.strip_suffix('\n')?.rsplit_once('\n')?;
    if u32::from_str_radix(crc, 16) != Ok(crc32c::crc32c(format!("{body}\n").as_bytes())) {
        return None;
    }
    let mut lines = body.lines();
    let (word, owner, how) = (lines.next()?, lines.next()?, lines.next()?);
    let ended = match how.strip_prefix(ENDED) {
        Some(tail) => Some(tail.parse().ok()?),
        None => None,
    };
    (word == WORD).then(|| (owner.to_owned(), ended))
}

/// A store in a folder beside this one that has the same owner, and segments.
fn left_behind(disk: &dyn Disk, store: &Path, owner: &str) -> Option<PathBuf> {
    let (above, own) = (store.parent()?, store.file_name()?);
    let above = if above.as_os_str().is_empty() {
        Path::new(".")
    } else {
        above
    };
    let names = disk.names(above).ok()?;
    let others = names.into_iter().filter(|name| own != name.as_str());
    others.map(|name| above.join(name)).find(|other| {
        let known = read(disk, &other.join(NAME)).is_some_and(|(known, _)| known == owner);
        let stored = || {
            disk.names(other)
                .is_ok_and(|names| names.iter().any(|name| first_of(name).is_some()))
        };
        known && stored()
    })
}
