//! The quarantine: what cannot be read is set aside, with a text that says what and how many frames, and is counted.

use std::fs;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::SpillError;
use super::folder::write_durably;

/// The folder `quarantine` of a store; made when first used.
#[derive(Debug)]
pub(super) struct Quarantine {
    path: PathBuf,
    frames: u64,
}

impl Quarantine {
    /// The quarantine of the store in `folder`.
    pub(super) fn of(folder: &Path) -> Self {
        Self {
            path: folder.join("quarantine"),
            frames: 0,
        }
    }

    /// Frames set aside since the store was opened.
    pub(super) fn frames(&self) -> u64 {
        self.frames
    }

    /// Keeps a copy of a damaged record's value.
    pub(super) fn record(&mut self, range: Range<u64>, value: &[u8], why: &SpillError) -> Result<(), SpillError> {
        let name = format!("{:020}.record", range.start);
        self.enter(&name, range, why, |path| write_durably(path, value))
    }

    /// Moves a damaged segment here. `range`: the positions that can no longer be read from it.
    pub(super) fn segment(&mut self, file: &Path, range: Range<u64>, why: &SpillError) -> Result<(), SpillError> {
        let name = file
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        self.enter(&name, range, why, |path| match fs::rename(file, path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            renamed => renamed,
        })
    }

    fn enter(
        &mut self,
        name: &str,
        range: Range<u64>,
        why: &SpillError,
        keep: impl FnOnce(&Path) -> std::io::Result<()>,
    ) -> Result<(), SpillError> {
        let path = self.path.join(name);
        let frames = range.end.saturating_sub(range.start);
        let entry = format!(
            "file: {name}\npositions: {}..{}\nframes: at most {frames}\nreason: {why}\n",
            range.start, range.end
        );
        let kept = fs::create_dir_all(&self.path)
            .and_then(|()| keep(&path))
            .and_then(|()| write_durably(&self.path.join(format!("{name}.txt")), entry.as_bytes()))
            .map_err(|error| SpillError::io("set aside", &path, error));
        // On a full disk the copy is done without: what follows must be read for the disk to drain.
        match kept {
            Err(error) if !error.is_full() => return Err(error),
            _ => {}
        }
        self.frames += frames;
        Ok(())
    }
}
