//! The quarantine: what cannot be read is set aside, with a text that says what and how many frames, and is counted.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::SpillError;
use super::disk::{Disk, write_durably};
use super::folder::first_of;

/// The folder `quarantine` of a store; made when first used.
#[derive(Debug)]
pub(super) struct Quarantine {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    most_bytes: u64,
    deleted: u64,
    unusable: bool,
}

/// What is added to the name of a damaged segment that could not be moved into the quarantine: no store reads it.
const LEFT: &str = "damaged";

/// Whether a file of this name is such a segment.
pub(super) fn is_left(name: &str) -> bool {
    let segment = name.strip_suffix(LEFT).and_then(|name| name.strip_suffix('.'));
    segment.and_then(first_of).is_some()
}

/// What is known of a damaged segment.
#[derive(Debug, Clone)]
pub(super) struct Damage {
    /// The first thing that was found wrong.
    pub(super) why: String,
    /// How many records could be read nevertheless.
    pub(super) records: usize,
    /// Frames known to be lost.
    pub(super) lost: u64,
    /// False when there may be more, of which nothing is left to count.
    pub(super) complete: bool,
}

impl Quarantine {
    /// The quarantine of the store in `folder`. It keeps `most_bytes` at most, or else one file.
    pub(super) fn of(disk: Arc<dyn Disk>, folder: &Path, most_bytes: u64) -> Self {
        let mut quarantine = Self {
            disk,
            path: folder.join("quarantine"),
            most_bytes,
            deleted: 0,
            unusable: false,
        };
        // A run may have been killed before it had made room, or have had more. A folder that cannot be used says so when it is needed.
        let _ = quarantine.make_room();
        quarantine
    }

    /// True when something could not be set aside: the folder cannot be made or written.
    pub(super) fn is_unusable(&self) -> bool {
        self.unusable
    }

    /// Files deleted from it, because it was full.
    pub(super) fn deleted(&self) -> u64 {
        self.deleted
    }

    /// Writes down what is known of a damaged segment; it stays in its place while something of it is still to be delivered. Where nothing
    /// can be written it goes without the text: what stands behind it must be delivered, on a full disk too.
    pub(super) fn describe(&mut self, segment: &Path, damage: &Damage) {
        let name = name_of(segment);
        let path = self.path.join(format!("{name}.txt"));
        let open = if damage.complete {
            ""
        } else {
            ", and an unknown number behind them"
        };
        let entry = format!(
            "file: {name}\nreason: {}\nrecords that could still be read: {}\nframes lost: {}{open}\n",
            damage.why, damage.records, damage.lost
        );
        let made = self.make();
        let written = made.and_then(|()| write_durably(&*self.disk, &path, entry.as_bytes()));
        let written = written.map_err(|error| SpillError::io("set aside", &path, error));
        self.unusable = written.is_err_and(|error| !error.is_full() && !error.is_missing());
    }

    /// Makes the folder, but not the store's own if somebody has deleted that: nobody would hold a lock on it.
    fn make(&self) -> io::Result<()> {
        self.disk.names(self.path.parent().unwrap_or(&self.path))?;
        self.disk.create_folder(&self.path)
    }

    /// Moves a damaged segment here, and makes room for it; or gives it a name that no store reads, where it is.
    pub(super) fn keep(&mut self, segment: &Path) -> Result<(), SpillError> {
        let path = self.path.join(name_of(segment));
        let made = self.make();
        // Positions begin anew behind a newest segment that was lost as a whole: then a name can come again.
        self.deleted += u64::from(self.disk.allocated_bytes(&path).is_ok());
        let moved = made.and_then(|()| match self.disk.rename(segment, &path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            renamed => renamed,
        });
        let moved = moved.and_then(|()| self.disk.sync_folder(&self.path));
        match moved.map_err(|error| SpillError::io("set aside", &path, error)) {
            Ok(()) => self.make_room(),
            // On a full disk its space is worth more than its damaged content.
            Err(error) if error.is_full() => {
                self.deleted += 1;
                let removed = self.disk.remove(segment);
                removed.map_err(|error| SpillError::io("delete", segment, error))
            }
            Err(error) => {
                self.unusable = true;
                self.leave(segment).map_err(|_| error)
            }
        }
    }

    fn leave(&mut self, segment: &Path) -> io::Result<()> {
        let path = segment.with_added_extension(LEFT);
        self.deleted += u64::from(self.disk.allocated_bytes(&path).is_ok());
        match self.disk.rename(segment, &path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            renamed => renamed,
        }
    }

    /// Deletes the oldest segments, those of the lowest positions, until the rest fits.
    fn make_room(&mut self) -> Result<(), SpillError> {
        let names = self.disk.names(&self.path);
        let mut names = names.map_err(|error| SpillError::io("list", &self.path, error))?;
        names.retain(|name| !name.ends_with(".txt"));
        names.sort_unstable();
        let bytes = |name: &String| self.disk.allocated_bytes(&self.path.join(name)).unwrap_or(0);
        let mut total: u64 = names.iter().map(bytes).sum();
        for name in &names[..names.len().saturating_sub(1)] {
            if total <= self.most_bytes {
                break;
            }
            total -= bytes(name);
            let path = self.path.join(name);
            let removed = self.disk.remove(&path);
            removed.map_err(|error| SpillError::io("delete", &path, error))?;
            // The text stays behind a little longer than what it speaks of, if it does.
            let _ = self.disk.remove(&self.path.join(format!("{name}.txt")));
            self.deleted += 1;
        }
        Ok(())
    }
}

fn name_of(segment: &Path) -> String {
    let name = segment.file_name();
    name.map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}
