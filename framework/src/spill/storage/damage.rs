//! Segments in doubt: whatever does not fit makes a segment one whose records are looked for one by one.

use std::io;

use bytes::Bytes;

use super::streams::forget_name;
use super::{Closed, Damage, Storage};
use crate::seeded::{self, Bug};
use crate::spill::SpillError;
use crate::spill::disk::{DiskFile, Open, READS_AT_MOST, patiently};
use crate::spill::record::decode;
use crate::spill::salvage::Salvage;
use crate::spill::segment::{Reader, Records};

/// A closed segment, open for reading.
#[derive(Debug)]
pub(in crate::spill) enum Opened {
    /// By its own structure.
    Tree(Reader),
    /// By what was found in it.
    Salvaged(Salvage),
}

impl Opened {
    pub(in crate::spill) fn read(&self, from: u64, to: u64, bytes: u64) -> Result<Records, SpillError> {
        match self {
            Self::Tree(reader) => reader.read(from, to, bytes),
            Self::Salvaged(salvage) => Ok(salvage.read(from, to, bytes)),
        }
    }

    /// It must be opened anew.
    fn has_failed(&self) -> bool {
        matches!(self, Self::Tree(reader) if reader.has_failed()) && !seeded::has(Bug::FailedReaderKept)
    }

    pub(super) fn first_from(&self, position: u64) -> Result<Option<(u64, Bytes)>, SpillError> {
        match self {
            Self::Tree(reader) => reader.first_from(position),
            Self::Salvaged(salvage) => Ok(salvage.first_from(position)),
        }
    }
}

impl Storage {
    /// The closed segment that begins at `first`, open.
    pub(super) fn opened(&mut self, first: u64) -> Result<&Opened, SpillError> {
        let opened = match self.reader.take() {
            Some((open, reader)) if open == first && !reader.has_failed() => reader,
            _ => self.open_segment(first)?,
        };
        Ok(&self.reader.insert((first, opened)).1)
    }

    pub(super) fn open_segment(&self, first: u64) -> Result<Opened, SpillError> {
        if self.is_damaged(first) {
            let salvage = Salvage::of(self.folder.disk(), &self.folder.segment(first))?;
            return Ok(Opened::Salvaged(salvage));
        }
        Ok(Opened::Tree(Reader::open(&self.folder, first)?))
    }

    pub(super) fn is_damaged(&self, first: u64) -> bool {
        self.closed.get(&first).is_some_and(|closed| closed.damage.is_some())
    }

    /// Something about a segment does not fit. From now on its records are looked for one by one.
    ///
    /// # Errors
    /// `why`, when it concerns the system around the file, or may pass.
    pub(super) fn doubt(&mut self, first: u64, why: SpillError) -> Result<(), SpillError> {
        self.reader = None;
        if self.writer.as_ref().is_some_and(|writer| writer.first() == first)
            && let Some(writer) = self.writer.take()
        {
            // What it held back is written again: the next append or commit says that it failed.
            self.undone = self.appended > self.tail;
            self.packer.restart(self.tail);
            self.noted.clear();
            self.shelve(writer);
        }
        if self.may_read_again(&why) {
            return Err(why);
        }
        self.salvage(first, &why)?;
        Ok(())
    }

    /// Whether a read that failed may be tried again.
    fn may_read_again(&mut self, why: &SpillError) -> bool {
        let again = !why.is_damage() || (why.may_pass() && self.failed_reads < READS_AT_MOST);
        self.failed_reads = if again { self.failed_reads + 1 } else { 0 };
        again
    }

    /// Up to where frames stand before a closed segment, as its first record says: those from there to `first` were settled before they
    /// were written. `first` when that is damaged.
    ///
    /// # Errors
    /// When it may be read another time.
    pub(super) fn follows(&mut self, first: u64) -> Result<u64, SpillError> {
        match self.opened(first).and_then(|opened| opened.first_from(first)) {
            Ok(Some((key, value))) => {
                let after = self.decode(first, key, &value).ok().and_then(|record| record.after);
                Ok(after.map_or(first, |after| after.min(first)))
            }
            Err(why) if self.may_read_again(&why) => Err(why),
            Ok(None) | Err(_) => Ok(first),
        }
    }

    /// Looks for the records of a damaged segment.
    fn salvage(&mut self, first: u64, why: &SpillError) -> Result<(usize, Option<u64>), SpillError> {
        let path = self.folder.segment(first);
        let (found, missing) = match Salvage::of(self.folder.disk(), &path) {
            Ok(salvage) => {
                let found = (salvage.records(), salvage.tail());
                self.reader = Some((first, Opened::Salvaged(salvage)));
                (found, false)
            }
            Err(error) if error.is_missing() => ((0, None), true),
            Err(error) => return Err(error),
        };
        let damage = Damage {
            why: why.to_string(),
            records: found.0,
            lost: 0,
            complete: self.end_of(first) > first,
        };
        self.quarantine.describe(&path, &damage);
        self.damaged += 1;
        if missing {
            // What stood in it is found to be missing as if it had never been listed.
            self.closed.remove(&first);
        } else {
            self.closed.entry(first).or_default().damage = Some(damage);
        }
        // It may have been the one that knew how far the streams are.
        self.keep_streams()?;
        Ok(found)
    }

    /// Frames that should have been in a segment are not; `first` is none when there is no such segment.
    pub(super) fn note_lost(&mut self, first: Option<u64>, frames: u64) {
        self.quarantined += frames;
        let Some(first) = first else { return };
        if let Some(Closed {
            damage: Some(damage), ..
        }) = self.closed.get_mut(&first)
        {
            damage.lost += frames;
            let (damage, path) = (damage.clone(), self.folder.segment(first));
            self.quarantine.describe(&path, &damage);
        }
    }

    /// The position behind the last frame of the newest segment in which there is any.
    pub(super) fn find_tail(&mut self) -> Result<u64, SpillError> {
        while let Some(first) = self.closed.keys().next_back().copied() {
            let tail = patiently(|| self.tail_of(first));
            if let Some(key) = self.stray_key(first) {
                self.expel(first, key)?;
                continue;
            }
            let sealed = self.sealed.end_of(first);
            match tail {
                Ok(tail) => {
                    self.make_durable(first)?;
                    return Ok(sealed.unwrap_or(tail));
                }
                Err(why) if !why.is_damage() => return Err(why),
                Err(why) => {
                    let confirmed = sealed.or(self.confirmed_tail(first));
                    let (_, found) = self.salvage(first, &why)?;
                    if confirmed.is_none() {
                        forget_name(&self.folder)?;
                        self.ends_lost += 1;
                    }
                    if let Some(tail) = sealed.or(found.max(confirmed)) {
                        return Ok(tail.max(first));
                    }
                    self.reader = None;
                    self.quarantine.keep(&self.folder.segment(first))?;
                    self.closed.remove(&first);
                    self.folder.sync()?;
                }
            }
        }
        Ok(0)
    }

    /// A process that was killed in a commit may have left it unsynced: what was found must not be gone after a power cut, because others are
    /// told of it, such as the sender of a stream. After a sync that failed, the system counts as clean what it could not write, and the next one says
    /// nothing (see [`super::sealed`]): so all of the segment is written again.
    fn make_durable(&self, first: u64) -> Result<(), SpillError> {
        if seeded::has(Bug::FoundNotSynced) {
            return Ok(());
        }
        let (disk, path) = (self.folder.disk(), self.folder.segment(first));
        let durable = || {
            let found = disk.open(&path, Open::Read)?;
            found.sync().or_else(|_| {
                if seeded::has(Bug::SecondSyncBelieved) {
                    return found.sync();
                }
                let file = disk.open(&path, Open::Write)?;
                write_again(&*file)?;
                file.sync()
            })
        };
        durable().map_err(|error| SpillError::io("sync", &path, error))
    }

    /// Where a segment ends, which must be where its last record does.
    fn tail_of(&mut self, first: u64) -> Result<u64, SpillError> {
        let reader = Reader::open(&self.folder, first)?;
        let (told, last) = (reader.tail()?, reader.last()?);
        self.reader = Some((first, Opened::Tree(reader)));
        let (key, value) = last.ok_or_else(|| self.misfit(first, "has no record"))?;
        let end = self.decode(first, key, &value)?.end();
        if told != Some(end) {
            return Err(self.misfit(first, "ends elsewhere than it says"));
        }
        Ok(end)
    }

    /// Where a damaged segment says that it ends, if that can still be read.
    fn confirmed_tail(&mut self, first: u64) -> Option<u64> {
        let Some((_, Opened::Tree(reader))) = self.reader.as_ref().filter(|(open, _)| *open == first) else {
            return None;
        };
        reader.tail().ok().flatten()
    }

    pub(super) fn decode(
        &self,
        first: u64,
        key: u64,
        value: &Bytes,
    ) -> Result<crate::spill::record::Record, SpillError> {
        let decoded = if seeded::has(Bug::SkipCrc) {
            crate::spill::record::decode_checked(key, value)
        } else {
            decode(key, value)
        };
        decoded.map_err(|source| SpillError::Record {
            position: key,
            path: self.folder.segment(first),
            source,
        })
    }

    pub(super) fn misfit(&self, first: u64, what: &'static str) -> SpillError {
        SpillError::Misfit {
            path: self.folder.segment(first),
            what,
        }
    }
}

/// Writes what stands in a file where it stands.
fn write_again(file: &dyn DiskFile) -> io::Result<()> {
    let (bytes, mut at, mut chunk) = (file.len()?, 0, vec![0; 256 * 1024]);
    while at < bytes {
        let length = chunk.len().min((bytes - at) as usize);
        file.read_at(at, &mut chunk[..length])?;
        file.write_at(at, &chunk[..length])?;
        at += length as u64;
    }
    Ok(())
}
