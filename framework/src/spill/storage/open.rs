//! A start: what stands in the directory, and where it ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::streams::forget_name;
use super::{Closed, Gone, Quarantine, Reserve, Sealed, Storage, ages, run};
use crate::seeded::{self, Bug};
use crate::spill::cursor::Cursor;
use crate::spill::disk::{Disk, Frozen, Owned};
use crate::spill::folder::{Folder, STREAMS_FORMAT};
use crate::spill::named::Named;
use crate::spill::record::Packer;
use crate::spill::streams::Streams;
use crate::spill::{Persist, SpillError, SpillOptions};

/// A store that is full must be able to give space back by whole segments: it has at least this many.
const SEGMENTS_AT_LEAST: u64 = 4;

/// What an opened store found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The position up to which all is settled.
    pub settled: u64,
    /// The position behind the last durable frame.
    pub tail: u64,
    /// Frames waiting on disk (at most: ranges that were settled out of order are counted too).
    pub frames: u64,
    /// Bytes its segments take on disk.
    pub bytes: u64,
    /// The last run was killed, or ended by the system: what it had in memory only is lost, if nobody sends it again.
    pub killed: bool,
    /// Frames at the end that were there when the last run ended in order, and are missing; they count as lost when their turn comes.
    pub end_missing: u64,
    /// How far the system's clock was set back since the last run; zero for less than some seconds.
    pub clock_back: Duration,
    /// Its file system is read-only: what is stored is delivered and stays, so it comes again after the next start; what arrives is not stored.
    pub read_only: bool,
}

impl Storage {
    /// Opens the store in `options.directory`, or creates it. Takes milliseconds, whatever its size: older segments are looked at
    /// when they are read. A newest segment that cannot be opened is set aside.
    ///
    /// # Errors
    /// When another process uses the directory, when a newer version wrote it, or when the operating system refuses.
    pub fn open(options: &SpillOptions) -> Result<(Self, Recovered), SpillError> {
        Self::open_on(Arc::new(Owned::new(options.mode)), options)
    }

    /// The same on another disk than the system's.
    ///
    /// # Errors
    /// Those of [`Storage::open`].
    pub fn open_on(disk: Arc<dyn Disk>, options: &SpillOptions) -> Result<(Self, Recovered), SpillError> {
        let mut storage = Self::closed_or_frozen(disk, options)?;
        storage.sealed.forget_all_but(&storage.folder, storage.closed.keys());
        let settled = storage.find_ends()?;
        storage.find_streams();
        if !storage.streams.is_empty() {
            storage.folder.require(STREAMS_FORMAT)?;
        }
        if options.persist == Persist::Always {
            storage.name_stream();
        }
        if seeded::has(Bug::DamagedCursorAtEnd) {
            let damaged = storage.found.iter_mut().filter(|cursor| !cursor.whole);
            damaged.for_each(|cursor| cursor.position = storage.tail);
        }
        storage.run.begin(storage.folder.disk());
        let recovered = Recovered {
            settled,
            tail: storage.tail,
            frames: storage.tail - settled,
            bytes: storage.usage().bytes,
            killed: storage.run.was_killed(),
            end_missing: storage.end_missing,
            clock_back: storage.run.clock_back(),
            read_only: storage.read_only,
        };
        Ok((storage, recovered))
    }

    /// On a read-only file system what is stored can be delivered, without a note of it.
    fn closed_or_frozen(disk: Arc<dyn Disk>, options: &SpillOptions) -> Result<Self, SpillError> {
        match Self::closed(disk.clone(), options) {
            // A store that is not there yet cannot be made.
            Err(error) if error.is_read_only() && disk.names(&options.directory).is_ok() => {
                // Nothing can be deleted from its quarantine.
                let options = &SpillOptions {
                    quarantine_bytes: u64::MAX,
                    ..options.clone()
                };
                let mut storage = Self::closed(Arc::new(Frozen::new(disk)), options)?;
                storage.read_only = true;
                Ok(storage)
            }
            closed => closed,
        }
    }

    /// The files as they stand there, none of the segments opened.
    fn closed(disk: Arc<dyn Disk>, options: &SpillOptions) -> Result<Self, SpillError> {
        let folder = Folder::open(disk.clone(), &options.directory)?;
        let firsts = folder.segments()?;
        let mut cursor = Cursor::open(&*disk, &folder.path().join("main.cursor"))?;
        if firsts.is_empty() && !cursor.was_whole() {
            forget_name(&folder)?;
        }
        cursor.make_durable()?;
        let (named, found) = Named::open(&*disk, folder.path())?;
        let reserve = Reserve::open(&folder);
        folder.sync()?;
        let closed = firsts.into_iter().map(|first| {
            let bytes = folder.allocated_bytes(&folder.segment(first));
            let closed = Closed {
                bytes,
                ..Closed::default()
            };
            (first, closed)
        });
        let most_bytes = options.retention.map_or(options.max_bytes, |retention| retention.bytes);
        let segment_bytes = options.segment_bytes.min(most_bytes / SEGMENTS_AT_LEAST);
        Ok(Self {
            closed: closed.collect(),
            quarantine: Quarantine::of(disk, folder.path(), options.quarantine_bytes),
            reserve,
            segment_bytes,
            commit_bytes: options.commit_bytes.min(segment_bytes),
            reader: None,
            writer: None,
            writer_bytes: 0,
            undone: false,
            gone: Gone::of(folder.disk(), folder.path())?,
            sealed: Sealed::of(folder.disk(), folder.path())?,
            failed_reads: 0,
            quarantined: 0,
            damaged: 0,
            ends_lost: 0,
            packer: Packer::default(),
            streams: Streams::default(),
            noted: BTreeMap::new(),
            stream: None,
            opened_s: 0,
            opened: Instant::now(),
            tail: 0,
            appended: 0,
            run: run::Run::of(folder.disk(), folder.path(), &options.owner),
            end_missing: 0,
            read_only: false,
            ages: ages::Ages::of(folder.disk(), folder.path()),
            folder,
            cursor,
            named,
            found,
        })
    }

    /// Finds where the frames end, and returns up to where they are settled.
    fn find_ends(&mut self) -> Result<u64, SpillError> {
        let furthest = self.found.iter().map(|cursor| cursor.position).max();
        let tail = self.find_tail()?.max(self.gone.end()).max(furthest.unwrap_or(0));
        let settled = self.cursor.position();
        let known = tail.max(settled);
        // Whatever is missing counts as lost when its turn comes, and its positions are not given again.
        self.tail = self.run.ended_at().map_or(known, |ended| ended.max(known));
        self.end_missing = self.tail - known;
        self.appended = self.tail;
        self.packer.restart(self.tail);
        let lowest = self.closed.keys().next().copied().unwrap_or(self.tail);
        // What lies between the cursor and the first segment is missing, unless the cursor may have been further.
        let passed = if self.cursor.was_whole() { 0 } else { lowest };
        let mut settled = settled.max(passed).min(self.tail);
        if seeded::has(Bug::RepeatSegmentAtStart) {
            settled = lowest.min(self.tail);
        }
        Ok(settled)
    }
}
