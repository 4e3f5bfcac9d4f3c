//! The cursor: the durable position up to which all is settled. It may lag, never lead.
//!
//! Two slots, a page apart, written in turn and synced: a torn write damages one of them at most, the other holds the position before.
//! The file is written in place, so moving the cursor takes no space on a full disk.
//!
//! ```text
//! | at 0:    magic "AQCU" | sequence u64 | position u64 | CRC32C u32 |   all little endian
//! | at 4096: the same                                                |
//! ```

use std::io;
use std::path::{Path, PathBuf};

use super::SpillError;
use super::disk::{Disk, DiskFile, Open, patiently};
use crate::seeded::{self, Bug};

const MAGIC: [u8; 4] = *b"AQCU";
const SLOT_BYTES: usize = 24;
const SLOT_DISTANCE_BYTES: u64 = 4096;

/// A cursor's file, open for writing.
#[derive(Debug)]
pub(super) struct Cursor {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    sequence: u64,
    position: u64,
    whole: bool,
}

impl Cursor {
    /// Where it stands, and whether it was whole, without opening it for writing; none when neither slot can be read.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub(super) fn look(disk: &dyn Disk, path: &Path) -> io::Result<Option<(u64, bool)>> {
        let file = disk.open(path, Open::Read)?;
        let (newest, whole) = read_slots(&*file)?;
        Ok(newest.map(|(_, position)| (position, whole)))
    }

    /// Opens the file, or creates it. When neither slot can be read it stands at 0: that repeats, and loses nothing. What was found is durable after
    /// [`Cursor::make_durable`].
    pub(super) fn open(disk: &dyn Disk, path: &Path) -> Result<Self, SpillError> {
        let open = || -> io::Result<Self> {
            let file = disk.open(path, Open::Write)?;
            let (newest, whole) = read_slots(&*file)?;
            let (sequence, position) = newest.unwrap_or_default();
            Ok(Self {
                path: path.to_owned(),
                file,
                sequence,
                position,
                whole,
            })
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
        if !seeded::has(Bug::SkipCursorFsync) {
            self.file.sync()?;
        }
        (self.sequence, self.position) = (sequence, position);
        Ok(())
    }
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
