//! How redb gets at a file: directly for the segment that is written, and through an overlay in memory for one that is only read.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use redb::StorageBackend;

use super::DiskFile;
use crate::seeded::{self, Bug};

const PAGE_BYTES: usize = 4096;

/// The beginning of a redb file (its `docs/design.md`, "Database header"; version 3): flags, then two commits, each with its transaction's number.
mod header {
    pub(super) const BYTES: usize = 320;
    pub(super) const FLAGS: usize = 9;
    /// Which of the commits is the last one.
    pub(super) const SECOND: u8 = 1;
    pub(super) const NOT_CLOSED: u8 = 2;
    /// The last commit was synced before it was called so.
    pub(super) const TWO_PHASES: u8 = 4;
    pub(super) const TRANSACTIONS: [usize; 2] = [64 + 104, 192 + 104];
}

/// Reads and writes the file itself.
#[derive(Debug)]
pub(in crate::spill) struct Direct(pub(in crate::spill) Box<dyn DiskFile>);

impl StorageBackend for Direct {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, data)
    }
}

/// Never writes the file: what redb changes to put a file in order that was not closed stays in memory. So reading needs
/// no space on a full disk, and damage is not made worse by a repair.
#[derive(Debug)]
pub(in crate::spill) struct Overlay {
    file: Box<dyn DiskFile>,
    ended: Arc<AtomicBool>,
    changes: Mutex<Changes>,
}

#[derive(Debug)]
struct Changes {
    /// Length as redb sees it.
    len: u64,
    /// Length of what still shows of the file.
    below: u64,
    /// Page number -> its content.
    pages: BTreeMap<u64, Box<[u8; PAGE_BYTES]>>,
}

impl Overlay {
    pub(in crate::spill) fn new(file: Box<dyn DiskFile>) -> io::Result<Self> {
        let len = file.len()?;
        let changes = Mutex::new(Changes {
            len,
            below: len,
            pages: BTreeMap::new(),
        });
        Ok(Self {
            file,
            ended: Arc::default(),
            changes,
        })
    }

    /// One bit, which no checksum covers, says which of two commits is the last. Where it names the earlier one, it has flipped, or a kill came
    /// in the middle of a commit. redb would believe it: so it is told that the file was not closed and that the last commit had one phase. Then it
    /// takes the later commit if every page of it is whole, which reads the whole file, else the earlier one.
    pub(in crate::spill) fn doubt_last_commit(&self) -> io::Result<()> {
        let mut header = [0; header::BYTES];
        if seeded::has(Bug::LastCommitNotDoubted) || self.len()? < header.len() as u64 {
            return Ok(());
        }
        self.read(0, &mut header)?;
        let [first, second] = header::TRANSACTIONS.map(|at| {
            let number = header[at..].first_chunk().copied();
            number.map(u64::from_le_bytes)
        });
        let flags = header[header::FLAGS];
        let names_earlier = if flags & header::SECOND == 0 {
            second > first
        } else {
            first > second
        };
        if !names_earlier {
            return Ok(());
        }
        self.write(
            header::FLAGS as u64,
            &[(flags | header::NOT_CLOSED) & !header::TWO_PHASES],
        )
    }

    /// Once this is set every read fails.
    pub(in crate::spill) fn ended(&self) -> Arc<AtomicBool> {
        self.ended.clone()
    }

    fn changes(&self) -> std::sync::MutexGuard<'_, Changes> {
        // A panic of redb while it holds the lock leaves plain data behind.
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the file itself has there, zeros behind its end.
    fn read_file(&self, below: u64, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let known = below.saturating_sub(offset).min(out.len() as u64) as usize;
        let (file, rest) = out.split_at_mut(known);
        rest.fill(0);
        if file.is_empty() {
            return Ok(());
        }
        self.file.read_at(offset, file)
    }
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.changes().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.ended.load(Ordering::Relaxed) {
            return Err(io::Error::other("reading has ended"));
        }
        let changes = self.changes();
        let end = offset
            .checked_add(out.len() as u64)
            .filter(|end| *end <= changes.len)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        self.read_file(changes.below, offset, out)?;
        for (number, page) in changes.pages.range(page_of(offset)..end.div_ceil(PAGE_BYTES as u64)) {
            let start = number * PAGE_BYTES as u64;
            let (low, high) = (start.max(offset), (start + PAGE_BYTES as u64).min(end));
            let from = &page[(low - start) as usize..(high - start) as usize];
            out[(low - offset) as usize..(high - offset) as usize].copy_from_slice(from);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut changes = self.changes();
        changes.len = len;
        changes.below = changes.below.min(len);
        let kept = len.div_ceil(PAGE_BYTES as u64);
        changes.pages.split_off(&kept);
        if let Some(page) = changes.pages.get_mut(&page_of(len)) {
            page[(len % PAGE_BYTES as u64) as usize..].fill(0);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut changes = self.changes();
        let (mut at, mut data) = (offset, data);
        while !data.is_empty() {
            let (number, start) = (page_of(at), (at % PAGE_BYTES as u64) as usize);
            let (now, rest) = data.split_at(data.len().min(PAGE_BYTES - start));
            if !changes.pages.contains_key(&number) {
                let mut page = Box::new([0; PAGE_BYTES]);
                self.read_file(changes.below, number * PAGE_BYTES as u64, &mut page[..])?;
                changes.pages.insert(number, page);
            }
            if let Some(page) = changes.pages.get_mut(&number) {
                page[start..start + now.len()].copy_from_slice(now);
            }
            (at, data) = (at + now.len() as u64, rest);
        }
        changes.len = changes.len.max(at);
        Ok(())
    }
}

fn page_of(offset: u64) -> u64 {
    offset / PAGE_BYTES as u64
}
