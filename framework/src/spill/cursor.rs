//! The cursor: the durable position up to which all is settled. It may lag, never lead.
//!
//! Two slots, a page apart, written in turn and synced: a torn write damages one of them at most, the other holds the position before.
//! The file is written in place, so moving the cursor takes no space on a full disk.
//!
//! ```text
//! | at 0:    magic "AQCU" | sequence u64 | position u64 | CRC32C u32 |   all little endian
//! | at 4096: the same                                                |
//! | at 2048: magic "AQCN" | length u8 | name, 64 bytes | CRC32C u32 |
//! ```
//! The name is the cursor's own: a file under another one is not believed, so that nobody skips what another has read. Files of older versions have none.

use std::io;
use std::path::{Path, PathBuf};

use super::SpillError;
use super::disk::{Disk, DiskFile, Open, patiently};
use crate::seeded::{self, Bug};

const MAGIC: [u8; 4] = *b"AQCU";
const SLOT_BYTES: usize = 24;
const SLOT_DISTANCE_BYTES: u64 = 4096;
const NAME_MAGIC: [u8; 4] = *b"AQCN";
const NAME_AT: u64 = 2048;
const NAME_BYTES: usize = 64;
const NAMED_BYTES: usize = 4 + 1 + NAME_BYTES + 4;

/// A cursor's file, open for writing.
#[derive(Debug)]
pub(super) struct Cursor {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    sequence: u64,
    position: u64,
    whole: bool,
    named: bool,
}

impl Cursor {
    /// Where it stands, and whether it was whole, without opening it for writing; none when neither slot can be read.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub(super) fn look(disk: &dyn Disk, path: &Path) -> io::Result<Option<(u64, bool)>> {
        let file = disk.open(path, Open::Read)?;
        let (newest, whole) = read_slots(&*file)?;
        let own = read_name(&*file).is_none_or(|name| name == name_of(path));
        Ok(newest.filter(|_| own).map(|(_, position)| (position, whole)))
    }

    /// Opens the file, or creates it. When neither slot can be read it stands at 0: that repeats, and loses nothing. What was found is durable after
    /// [`Cursor::make_durable`].
    pub(super) fn open(disk: &dyn Disk, path: &Path) -> Result<Self, SpillError> {
        let open = || -> io::Result<Self> {
            let file = disk.open(path, Open::Write)?;
            let (newest, whole) = read_slots(&*file)?;
            let (sequence, position) = newest.unwrap_or_default();
            let name = read_name(&*file);
            let mut cursor = Self {
                path: path.to_owned(),
                file,
                sequence,
                position,
                whole,
                named: name.is_some(),
            };
            if let Some(other) = name.filter(|name| *name != name_of(path)) {
                tracing::error!(
                    "{} is the file of the cursor `{other}`: it is not believed, so frames may come again to whom it stands for",
                    path.display()
                );
                (cursor.position, cursor.whole, cursor.named) = (0, false, false);
                // Both slots, before it has a name that makes them count.
                cursor.write(0)?;
                cursor.write(0)?;
            }
            Ok(cursor)
        };
        open().map_err(|error| SpillError::io("open", path, error))
    }

    /// The slot that is written next is the one that is durable, if a process was killed, or failed, before it had synced the other one. So that one is
    /// written again: a sync alone says nothing of what an earlier one has failed to write. Where neither was found both are written.
    pub(super) fn make_durable(&mut self) -> Result<(), SpillError> {
        let made = match self.sequence {
            0 => self.write(0).and_then(|()| self.write(0)),
            _ if seeded::has(Bug::FoundNotSynced) => Ok(()),
            _ => self.write_again(),
        };
        let failed = |error| SpillError::io("write", &self.path, error);
        match made.map_err(failed) {
            // A full disk is no reason not to drain it.
            Err(error) if error.is_full() && self.sequence > 0 => self.file.sync().map_err(failed),
            made => made,
        }
    }

    /// Writes a new file, or over what is there, with both slots at `position`. It is to be renamed to `path` when it is written.
    pub(super) fn create(disk: &dyn Disk, unfinished: &Path, path: &Path, position: u64) -> Result<Self, SpillError> {
        let create = || -> io::Result<Self> {
            let mut cursor = Self {
                path: path.to_owned(),
                file: disk.open(unfinished, Open::Empty)?,
                sequence: 0,
                position: 0,
                whole: true,
                named: false,
            };
            cursor.write(position)?;
            cursor.write(position)?;
            Ok(cursor)
        };
        create().map_err(|error| SpillError::io("create", unfinished, error))
    }

    /// The durable position.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// False when it is new, or a slot could not be read: it may lag behind segments that were deleted.
    pub(super) fn was_whole(&self) -> bool {
        self.whole
    }

    /// Makes `position` durable; a lower one than before changes nothing.
    pub(super) fn store(&mut self, position: u64) -> Result<(), SpillError> {
        if position <= self.position {
            return Ok(());
        }
        self.write(position)
            .map_err(|error| SpillError::io("write", &self.path, error))
    }

    fn write_again(&self) -> io::Result<()> {
        let slot = slot(self.sequence, self.position);
        self.file.write_at(place_of(self.sequence), &slot)?;
        self.file.sync()
    }

    fn write(&mut self, position: u64) -> io::Result<()> {
        let sequence = self.sequence + 1;
        let ahead = u64::from(seeded::has(Bug::CursorOneAhead) && position > 0);
        self.file
            .write_at(place_of(sequence), &slot(sequence, position + ahead))?;
        if !self.named && sequence > 1 {
            // Behind the first slot, in front of the second: it takes no space of its own.
            self.file.write_at(NAME_AT, &named(&name_of(&self.path)))?;
            self.named = true;
        }
        if !seeded::has(Bug::SkipCursorFsync) {
            self.file.sync()?;
        }
        (self.sequence, self.position) = (sequence, position);
        Ok(())
    }
}

/// The cursor that a file of this name is for: `main`, or a client's.
fn name_of(path: &Path) -> String {
    let stem = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let stem = stem.unwrap_or_default();
    stem.strip_suffix(".cursor").unwrap_or(&stem).to_owned()
}

fn named(name: &str) -> [u8; NAMED_BYTES] {
    let mut named = [0; NAMED_BYTES];
    let length = name.len().min(NAME_BYTES);
    named[..4].copy_from_slice(&NAME_MAGIC);
    named[4] = length as u8;
    named[5..5 + length].copy_from_slice(&name.as_bytes()[..length]);
    let crc = crc32c::crc32c(&named[..NAMED_BYTES - 4]);
    named[NAMED_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
    named
}

/// Whose file it says it is; none when it does not say, or that is damaged.
fn read_name(file: &dyn DiskFile) -> Option<String> {
    let mut found = [0; NAMED_BYTES];
    file.read_at(NAME_AT, &mut found).ok()?;
    let length = usize::from(found[4]).min(NAME_BYTES);
    let name = std::str::from_utf8(&found[5..5 + length]).ok()?;
    (named(name) == found).then(|| name.to_owned())
}

/// Where in the file the slot with this sequence stands.
fn place_of(sequence: u64) -> u64 {
    if seeded::has(Bug::CursorInOneSlot) {
        0
    } else {
        sequence % 2 * SLOT_DISTANCE_BYTES
    }
}

fn slot(sequence: u64, position: u64) -> [u8; SLOT_BYTES] {
    let mut slot = [0; SLOT_BYTES];
    slot[..4].copy_from_slice(&MAGIC);
    slot[4..12].copy_from_slice(&sequence.to_le_bytes());
    slot[12..20].copy_from_slice(&position.to_le_bytes());
    let crc = crc32c::crc32c(&slot[..20]);
    slot[20..].copy_from_slice(&crc.to_le_bytes());
    slot
}

/// The sequence and position of the newer slot, and whether both are whole. A disk that gives neither of them has not said that they are
/// damaged: the position they hold must not be overwritten.
fn read_slots(file: &dyn DiskFile) -> io::Result<(Option<(u64, u64)>, bool)> {
    let slots = [0, 1].map(|slot| patiently(|| read_slot(file, slot)));
    let whole = slots.iter().all(|slot| matches!(slot, Ok(Some(_))));
    let newest = slots.iter().flatten().flatten().max().copied();
    match (newest, slots) {
        (None, [Err(error), _] | [_, Err(error)]) if !seeded::has(Bug::UnreadCursorIsZero) => Err(error),
        (newest, _) => Ok((newest, whole)),
    }
}

/// None when it is damaged, or was never written.
fn read_slot(file: &dyn DiskFile, index: u64) -> io::Result<Option<(u64, u64)>> {
    let mut found = [0; SLOT_BYTES];
    match file.read_at(index * SLOT_DISTANCE_BYTES, &mut found) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        read => read.map(|()| parse(found)),
    }
}

fn parse(found: [u8; SLOT_BYTES]) -> Option<(u64, u64)> {
    let number = |at: usize| Some(u64::from_le_bytes(found.get(at..at + 8)?.try_into().ok()?));
    let (sequence, position) = (number(4)?, number(12)?);
    (slot(sequence, position) == found).then_some((sequence, position))
}
