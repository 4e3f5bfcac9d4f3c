//! What can still be had of a segment whose own structure is damaged: its records are looked for by their marks, and known by their checksums.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::ops::Bound;
use std::path::Path;

use bytes::Bytes;
use memchr::memmem;

use super::SpillError;
use super::disk::{Disk, DiskFile, Open};
use super::record::{self, MARK, RECORD_BYTES};
use super::segment::Records;

/// How much is looked through at a time: any header fits into half of it.
const WINDOW_BYTES: usize = 2 * RECORD_BYTES;
/// What is passed over where the disk cannot be read.
const BLOCK_BYTES: usize = 4096;

/// The records found in a damaged segment, by key. They are read when they are wanted.
#[derive(Debug)]
pub(super) struct Salvage {
    file: Box<dyn DiskFile>,
    /// Key -> where it stands, and its length.
    found: BTreeMap<u64, (u64, u64)>,
}

impl Salvage {
    /// Looks through a whole file.
    ///
    /// # Errors
    /// When it cannot be opened. What cannot be read of it is passed over.
    pub(super) fn of(disk: &dyn Disk, path: &Path) -> Result<Self, SpillError> {
        let open = || -> std::io::Result<_> {
            let file = disk.open(path, Open::Read)?;
            match file.len() {
                // What is no file, such as a pipe, holds no records.
                Err(error) if error.kind() == ErrorKind::InvalidInput => Ok((file, 0)),
                bytes => Ok((file, bytes?)),
            }
        };
        let (file, bytes) = open().map_err(|error| SpillError::io("open", path, error))?;
        let mut salvage = Self {
            file,
            found: BTreeMap::new(),
        };
        let mark = memmem::Finder::new(&MARK);
        let (mut at, mut window) = (0, vec![0; WINDOW_BYTES]);
        while at < bytes {
            let known = (bytes - at).min(WINDOW_BYTES as u64) as usize;
            salvage.fill(at, &mut window[..known]);
            at = salvage.search(&mark, at, &window[..known], bytes);
        }
        Ok(salvage)
    }

    /// How many records were found.
    pub(super) fn records(&self) -> usize {
        self.found.len()
    }

    /// The position behind the last frame found.
    pub(super) fn tail(&self) -> Option<u64> {
        let (key, _) = self.found.last_key_value()?;
        let value = self.value(*key)?;
        Some(record::decode(*key, &value).ok()?.end())
    }

    /// See [`super::segment::Reader::read`].
    pub(super) fn read(&self, from: u64, to: u64, bytes: u64) -> Records {
        let holder = self.found.range(..=from).next_back().map_or(from, |(key, _)| *key);
        let (mut read, mut taken) = (Records::default(), 0);
        for key in self.found.range(holder..to.max(holder)).map(|(key, _)| *key) {
            if taken >= bytes.max(1) {
                read.more = true;
                break;
            }
            // What has become unreadable since it was found is missing, like what was not found.
            let Some(value) = self.value(key) else { continue };
            taken += if key < from { 0 } else { value.len() as u64 };
            read.records.push((key, value));
        }
        read
    }

    /// See [`super::segment::Reader::first_from`].
    pub(super) fn first_from(&self, position: u64) -> Option<(u64, Bytes)> {
        let mut keys = self.found.range((Bound::Included(position), Bound::Unbounded));
        keys.find_map(|(key, _)| Some((*key, self.value(*key)?)))
    }

    fn value(&self, key: u64) -> Option<Bytes> {
        let (at, length) = self.found.get(&key)?;
        let mut value = vec![0; usize::try_from(*length).ok()?];
        self.file.read_at(*at, &mut value).ok()?;
        let value = Bytes::from(value);
        record::decode(key, &value).is_ok().then_some(value)
    }

    /// Reads into the window; blocks that cannot be read are zeros.
    fn fill(&self, at: u64, window: &mut [u8]) {
        if self.file.read_at(at, window).is_ok() {
            return;
        }
        for (index, block) in window.chunks_mut(BLOCK_BYTES).enumerate() {
            if self.file.read_at(at + (index * BLOCK_BYTES) as u64, block).is_err() {
                block.fill(0);
            }
        }
    }

    /// Notes the records that begin in the window; returns where the next window begins.
    fn search(&mut self, mark: &memmem::Finder<'_>, at: u64, window: &[u8], bytes: u64) -> u64 {
        let last = at + window.len() as u64 >= bytes;
        let mut from = 0;
        while let Some(offset) = mark.find(&window[from..]).map(|found| from + found) {
            if !last && offset > WINDOW_BYTES / 2 {
                return at + offset as u64;
            }
            let start = at + offset as u64;
            match record::extent(&window[offset..]) {
                Some((key, length)) if length <= bytes - start && self.note(key, start, length) => {
                    let end = offset as u64 + length;
                    if end >= window.len() as u64 {
                        return at + end;
                    }
                    from = end as usize;
                }
                _ => from = offset + 1,
            }
        }
        // A mark may stand across the border.
        let border = if last { 0 } else { MARK.len() - 1 };
        at + (window.len() - border) as u64
    }

    fn note(&mut self, key: u64, at: u64, length: u64) -> bool {
        let before = self.found.insert(key, (at, length));
        let whole = self.value(key).is_some();
        match (whole, before) {
            (true, _) => {}
            (false, Some(before)) => {
                self.found.insert(key, before);
            }
            (false, None) => {
                self.found.remove(&key);
            }
        }
        whole
    }
}
