//! Looking at a store without opening it: nothing is created, locked, upgraded or written, whoever uses it.
//!
//! Segments that are closed are read through an overlay in memory. The one that the holder of a store in use may be writing has no
//! structure to rely on: its records are looked for one by one and known by their checksums, so what is seen of it is right, and
//! where it ends is not known. What is only in the holder's memory is not seen.

mod holder;
mod strays;
#[cfg(test)]
mod tests;
mod walk;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use holder::Holder;
pub use strays::Stray;
pub use walk::{Sight, Walk};

use super::SpillError;
use super::cursor::Cursor;
use super::disk::{self, Disk, System};
use super::folder::{check_format, first_of, is_unfinished};
use super::named;
use super::quarantine::is_left;
use super::salvage::Salvage;
use super::segment::Reader;
use super::storage::{Gone, Sealed, last_run};

/// What the files of a store say, at one moment.
#[derive(Debug, Clone)]
pub struct Inspection {
    disk: Arc<dyn Disk>,
    /// The directory.
    pub path: PathBuf,
    /// Its format; none when the file that says it is missing or damaged.
    pub format: Option<u32>,
    /// The position up to which all is settled.
    pub settled: u64,
    /// False when the cursor is missing, or one of its two copies damaged: frames may come again.
    pub cursor_whole: bool,
    /// The cursors of clients that have one of their own, by name.
    pub cursors: Vec<named::Recovered>,
    /// Who uses the store.
    pub holder: Option<Holder>,
    /// How the last run ended; none while the store is in use, and of one that does not say.
    pub last_run: Option<LastRun>,
    /// Its segments, by position.
    pub segments: Vec<Segment>,
    /// Files with the name of a segment that are none of this store, by name: a start sets them aside.
    pub strays: Vec<Stray>,
    /// What was set aside, by name.
    pub quarantine: Vec<Quarantined>,
    /// Files that were never finished: nothing in them was acknowledged.
    pub leftovers: Vec<PathBuf>,
    /// What was dropped on purpose.
    gone: Gone,
    /// Where segments end to which a commit failed.
    sealed: Sealed,
}

/// What a store that is not in use notes of its last run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRun {
    /// The pipeline and the actor that used it; empty when only tools did.
    pub owner: String,
    /// The position behind its last frame; none when it did not end in order.
    pub ended: Option<u64>,
}

/// A segment's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The position of its first frame.
    pub first: u64,
    /// Its file.
    pub path: PathBuf,
    /// What it takes on disk, in allocated bytes.
    pub bytes: u64,
    /// The store is in use and this may be the segment that is being written.
    pub written: bool,
}

/// What is known of a segment before it is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    /// The position behind its last frame, or behind the last one that can be found.
    pub tail: Option<u64>,
    /// What does not fit, as far as that shows without reading everything.
    pub damage: Option<String>,
}

/// A damaged segment that was set aside, or one that will be, when what is left of it is delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Its file; it may still be in its place.
    pub name: String,
    /// What it takes in the quarantine, in allocated bytes.
    pub bytes: u64,
    /// What the store noted about it, in lines.
    pub entry: String,
}

impl Inspection {
    /// Looks at the store in a directory. Takes milliseconds for each segment, whatever its size.
    ///
    /// # Errors
    /// When there is no store, a newer version wrote it, or the operating system refuses.
    pub fn of(path: &Path) -> Result<Self, SpillError> {
        let disk: Arc<dyn Disk> = Arc::new(System);
        let names = disk.names(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => no_store(path, "there is no such folder"),
            io::ErrorKind::NotADirectory => no_store(path, "it is a file"),
            _ => SpillError::io("list", path, error),
        })?;
        let firsts = firsts(&names);
        if firsts.is_empty() && !names.iter().any(|name| name == "format" || name == "main.cursor") {
            let what = if names.is_empty() {
                "it is empty"
            } else {
                "it holds other files"
            };
            return Err(no_store(path, what));
        }
        let format = check_format(&*disk, path)?;
        let holder = Holder::of(&*disk, path);
        let newest = firsts.last().copied();
        let segment = |first: u64| {
            let path = path.join(format!("{first:020}.redb"));
            Segment {
                first,
                bytes: disk.allocated_bytes(&path).unwrap_or(0),
                path,
                written: holder.is_some() && newest == Some(first),
            }
        };
        let (segments, strays) = strays::sort_out(&*disk, firsts.into_iter().map(segment).collect());
        let (settled, cursor_whole) = cursor(&*disk, path)?;
        let last_run = last_run(&*disk, path).filter(|_| holder.is_none());
        // A cursor that may lag behind segments that are gone: as the store itself takes it.
        let lowest = segments.first().map_or(0, |segment| segment.first);
        Ok(Self {
            quarantine: quarantine(&*disk, path, &names)?,
            leftovers: leftovers(&names, path),
            path: path.to_owned(),
            format,
            settled: if cursor_whole { settled } else { settled.max(lowest) },
            cursor_whole,
            cursors: named::look(&*disk, path)?,
            holder,
            last_run,
            segments,
            strays,
            // Listed behind the segments: it is noted before one is deleted.
            gone: Gone::of(&*disk, path)?,
            sealed: Sealed::of(&*disk, path)?,
            disk,
        })
    }

    /// The position of the oldest thing on disk, settled or not: where a walk over everything begins.
    pub fn start(&self) -> u64 {
        let lowest = self.segments.first().map_or(self.settled, |segment| segment.first);
        lowest.min(self.settled)
    }

    /// The position behind the last durable frame; of a store in use, or of a damaged one, behind the last that can be seen.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn tail(&self) -> Result<u64, SpillError> {
        Ok(self.found_tail()?.max(self.ended()))
    }

    /// Frames at the end that were there when the last run ended in order, and are not there any more.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn missing_at_end(&self) -> Result<u64, SpillError> {
        Ok(self.ended().saturating_sub(self.found_tail()?))
    }

    fn found_tail(&self) -> Result<u64, SpillError> {
        let least = self.settled.max(self.gone.end());
        for segment in self.segments.iter().rev() {
            if let Some(tail) = self.outline(segment)?.tail {
                return Ok(tail.max(least));
            }
        }
        Ok(least)
    }

    /// Looks at the two ends of a segment, or for all of its records where its structure cannot be relied on.
    ///
    /// # Errors
    /// When the operating system refuses. A segment that has gone meanwhile has no outline, and no damage.
    pub fn outline(&self, segment: &Segment) -> Result<Outline, SpillError> {
        let by_structure = || {
            let reader = Reader::open_file(&*self.disk, segment.path.clone())?;
            reader.end()
        };
        let sealed = self.sealed.end_of(segment.first);
        let damage = match segment.written {
            true => None,
            false => match by_structure() {
                Ok(end) => {
                    return Ok(Outline {
                        tail: sealed.or(Some(end)),
                        damage: None,
                    });
                }
                Err(error) if error.is_damage() => Some(error.to_string()),
                Err(error) => return Err(error),
            },
        };
        match Salvage::of(&*self.disk, &segment.path) {
            Ok(salvage) => Ok(Outline {
                tail: sealed.or(salvage.tail()),
                damage,
            }),
            Err(error) if error.is_missing() => Ok(Outline::default()),
            Err(error) => Err(error),
        }
    }

    /// Everything from a position on, in order; from [`Inspection::start`] on, when that is higher.
    pub fn walk(&self, from: u64) -> Walk<'_> {
        Walk::new(self, from.max(self.start()))
    }

    /// Whether the segment that begins there may be being written: of that one no end is known, and nothing is known to be missing.
    pub fn is_written(&self, first: Option<u64>) -> bool {
        let segment = self.segments.iter().find(|segment| Some(segment.first) == first);
        segment.is_some_and(|segment| segment.written)
    }

    /// Where the last run ended in order; 0 when it did not, or that is not known.
    fn ended(&self) -> u64 {
        self.last_run.as_ref().and_then(|run| run.ended).unwrap_or(0)
    }

    /// Where a segment was sealed, or else where the next one begins; none of the newest.
    fn end_of(&self, index: usize) -> Option<u64> {
        let next = self.segments.get(index + 1).map(|segment| segment.first);
        let sealed = self
            .segments
            .get(index)
            .and_then(|segment| self.sealed.end_of(segment.first));
        sealed.or(next)
    }
}

fn no_store(path: &Path, why: &str) -> SpillError {
    SpillError::NoStore {
        path: path.to_owned(),
        why: why.to_owned(),
    }
}

fn firsts(names: &[String]) -> Vec<u64> {
    let firsts = names.iter().filter_map(|name| first_of(name));
    let mut firsts: Vec<_> = firsts.collect();
    firsts.sort_unstable();
    firsts
}

/// Where the cursor stands, and whether that is sure.
fn cursor(disk: &dyn Disk, path: &Path) -> Result<(u64, bool), SpillError> {
    let path = path.join("main.cursor");
    match Cursor::look(disk, &path) {
        Ok(found) => Ok(found.unwrap_or((0, false))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((0, false)),
        Err(error) => Err(SpillError::io("open", &path, error)),
    }
}

/// What was set aside, and what could not be and stays in the store's own folder.
fn quarantine(disk: &dyn Disk, path: &Path, names: &[String]) -> Result<Vec<Quarantined>, SpillError> {
    let folder = path.join("quarantine");
    let mut kept = match disk.names(&folder) {
        Ok(names) => names,
        // A file of that name, say: the store cannot use it either.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Vec::new(),
        Err(error) => return Err(SpillError::io("list", &folder, error)),
    };
    for name in &mut kept {
        name.truncate(name.trim_end_matches(".txt").len());
    }
    kept.sort_unstable();
    kept.dedup();
    let kept = kept.into_iter().map(|name| {
        let entry = disk::read(disk, &folder.join(format!("{name}.txt"))).unwrap_or_default();
        Quarantined {
            bytes: disk.allocated_bytes(&folder.join(&name)).unwrap_or(0),
            entry: String::from_utf8_lossy(&entry).into_owned(),
            name,
        }
    });
    let left = names.iter().filter(|name| is_left(name)).map(|name| Quarantined {
        bytes: disk.allocated_bytes(&path.join(name)).unwrap_or(0),
        entry: "reason: it could not be moved into the quarantine".to_owned(),
        name: name.clone(),
    });
    Ok(kept.chain(left).collect())
}

fn leftovers(names: &[String], path: &Path) -> Vec<PathBuf> {
    let unfinished = |name: &&String| is_unfinished(name) || name.as_str() == "format.tmp";
    names.iter().filter(unfinished).map(|name| path.join(name)).collect()
}
