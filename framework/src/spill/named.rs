//! The named cursors of a store: one file each in its folder `cursors`, in the format of `main.cursor`. They may lag, never lead.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::SpillError;
use super::cursor::Cursor;
use super::disk::Disk;
use super::folder::{set_aside_foreign, set_aside_no_folder};
use crate::seeded::{self, Bug};

/// The folder of the files.
pub(super) const FOLDER: &str = "cursors";
const ENDING: &str = ".cursor";
/// Of a file that was never finished: its cursor was never used.
const UNFINISHED: &str = ".new";

/// The longest name of a cursor, in bytes.
pub const NAME_BYTES: usize = 64;

/// True for a name that a cursor may have: 1 to 64 ASCII letters, digits, `-`, `_` and `.`, the first no `.`, so that it is a file's name and no way to another folder.
pub fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=NAME_BYTES).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(allowed)
}

/// A named cursor as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// Its name.
    pub name: Arc<str>,
    /// Everything below is settled.
    pub position: u64,
    /// False when one of its two slots could not be read: it may lag more than it would; with none left it stands at 0.
    pub whole: bool,
    /// When it was made durable last, in nanoseconds since 1970, if the file system says so.
    pub moved_ns: Option<u64>,
}

/// The named cursors of a store in use, open for writing.
#[derive(Debug)]
pub(super) struct Named {
    folder: PathBuf,
    cursors: BTreeMap<Arc<str>, Cursor>,
}

impl Named {
    /// Opens those there are in the store's directory, and makes their names durable. A damaged one is whole again after it moved twice.
    pub(super) fn open(disk: &dyn Disk, store: &Path) -> Result<(Self, Vec<Recovered>), SpillError> {
        let folder = store.join(FOLDER);
        let mut named = Self {
            folder: folder.clone(),
            cursors: BTreeMap::new(),
        };
        let mut found = Vec::new();
        set_aside_no_folder(disk, &folder);
        let mut files = names(disk, &folder)?;
        files.sort_unstable();
        for file in files {
            let path = folder.join(&file);
            if file
                .strip_suffix(UNFINISHED)
                .is_some_and(|file| name_of(file).is_some())
            {
                // What cannot be removed now is written over when it is wanted again.
                let _ = disk.remove(&path);
            }
            let Some(name) = name_of(&file) else { continue };
            if disk.is_foreign(&path) {
                // Without a file there is no cursor: its client begins anew.
                set_aside_foreign(disk, &path);
                continue;
            }
            let moved_ns = disk.modified_ns(&path);
            let mut cursor = Cursor::open(disk, &path)?;
            cursor.make_durable()?;
            let name: Arc<str> = name.into();
            found.push(Recovered {
                name: name.clone(),
                position: cursor.position(),
                whole: cursor.was_whole(),
                moved_ns,
            });
            named.cursors.insert(name, cursor);
        }
        // Whoever made one may have ended, or failed, before its name was durable: from here on it is used as one that is.
        if !found.is_empty() {
            disk.sync_folder(&folder)
                .map_err(|error| SpillError::io("sync the folder", &folder, error))?;
        }
        Ok((named, found))
    }

    /// Makes a new cursor, durable when this returns.
    pub(super) fn make(&mut self, disk: &dyn Disk, name: &Arc<str>, position: u64) -> Result<(), SpillError> {
        disk.create_folder(&self.folder)
            .map_err(|error| SpillError::io("create", &self.folder, error))?;
        let path = file(&self.folder, name);
        let unfinished = path.with_added_extension(&UNFINISHED[1..]);
        let cursor = Cursor::create(disk, &unfinished, &path, position)?;
        disk.rename(&unfinished, &path)
            .map_err(|error| SpillError::io("name", &path, error))?;
        if !seeded::has(Bug::SkipCursorsFolderSync)
            && let Err(error) = disk.sync_folder(&self.folder)
        {
            // Nothing is kept for it: at the next start it would have lost everything that went since.
            let _ = disk.remove(&path);
            return Err(SpillError::io("sync the folder", &self.folder, error));
        }
        self.cursors.insert(name.clone(), cursor);
        Ok(())
    }

    /// Removes a cursor for good; false when there is none of that name.
    pub(super) fn forget(&mut self, disk: &dyn Disk, name: &str) -> Result<bool, SpillError> {
        if self.cursors.remove(name).is_none() {
            return Ok(false);
        }
        let path = file(&self.folder, name);
        disk.remove(&path)
            .map_err(|error| SpillError::io("delete", &path, error))?;
        if !seeded::has(Bug::SkipForgottenFolderSync) {
            disk.sync_folder(&self.folder)
                .map_err(|error| SpillError::io("sync the folder", &self.folder, error))?;
        }
        Ok(true)
    }

    /// Makes a position durable; a lower one than before, or one of an unknown cursor, changes nothing.
    pub(super) fn store(&mut self, name: &str, position: u64) -> Result<(), SpillError> {
        match self.cursors.get_mut(name) {
            Some(cursor) => cursor.store(position),
            None => Ok(()),
        }
    }
}

/// Looks at the named cursors without opening the store, in the order of their names.
pub(super) fn look(disk: &dyn Disk, store: &Path) -> Result<Vec<Recovered>, SpillError> {
    let folder = store.join(FOLDER);
    let mut found = Vec::new();
    for file in names(disk, &folder)? {
        let Some(name) = name_of(&file) else { continue };
        let path = folder.join(&file);
        let looked = match Cursor::look(disk, &path) {
            Ok(looked) => looked,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(SpillError::io("open", &path, error)),
        };
        let (position, whole) = looked.unwrap_or((0, false));
        found.push(Recovered {
            name: name.into(),
            position,
            whole,
            moved_ns: disk.modified_ns(&path),
        });
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

fn names(disk: &dyn Disk, folder: &Path) -> Result<Vec<String>, SpillError> {
    match disk.names(folder) {
        Ok(names) => Ok(names),
        // A start sets aside what is no folder.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        Err(error) => Err(SpillError::io("list", folder, error)),
    }
}

fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}{ENDING}"))
}

fn name_of(file: &str) -> Option<&str> {
    file.strip_suffix(ENDING).filter(|name| is_name(name))
}
