//! A segment: one redb file of records. The newest is written, older ones are only read.
//!
//! Every commit is durable and saves redb's allocator state ("quick repair", two syncs): so a file that a killed process left can be opened
//! at once, whatever its size.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use redb::{
    Builder, Database, Durability, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction,
};

use super::SpillError;
use super::disk::{Direct, Disk, Open, Overlay};
use super::error::contain;
use super::folder::Folder;
use super::record::decode;
use super::streams::Mark;
use crate::batch::StreamId;
use crate::seeded::{self, Bug};

const RECORDS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");
/// What is committed together with the records.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// How far the streams are that end here: sequence, when it came, checksum. A segment of a store without any has no such table.
const STREAMS: TableDefinition<'_, u128, (u64, u64, u32)> = TableDefinition::new("streams");
const META_TAIL: &str = "tail";
/// The checksum of the tail: redb returns what it finds.
const META_TAIL_CRC: &str = "tail_crc32c";
/// redb keeps up to half of its cache for what a transaction wrote. Pages beyond that it writes early, reads back for their checksums
/// and writes again at the commit (measured: 1.5 times the bytes), so a whole commit must fit.
fn write_cache_bytes(commit_bytes: u64) -> usize {
    (2 * commit_bytes + WRITE_CACHE_SPARE_BYTES) as usize
}

/// The largest record, inner pages and redb's own tables come on top of what a commit gathers.
const WRITE_CACHE_SPARE_BYTES: u64 = 2 << 20;
/// Records are read once, in order, and the system caches the file: redb needs no cache for that. `Reader::drop` relies on it.
const READ_CACHE_BYTES: usize = 0;

/// What of the streams goes with a commit.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// How far they are.
    pub(super) marks: BTreeMap<StreamId, Mark>,
    /// Those that are forgotten.
    pub(super) gone: Vec<StreamId>,
}

/// The segment that is open for writing.
pub(super) struct Writer {
    database: Option<Database>,
    open: Option<WriteTransaction>,
    first: u64,
    tail: u64,
    path: PathBuf,
    name: PathBuf,
    published: bool,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("path", &self.path).finish()
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("path", &self.path).finish()
    }
}

impl Writer {
    /// A new segment for frames from `first` on. It gets its name with its first commit, so one that never had any is known for it.
    pub(super) fn create(folder: &Folder, first: u64, commit_bytes: u64) -> Result<Self, SpillError> {
        let name = folder.segment(first);
        let path = name.with_extension("redb.new");
        let file = folder.disk().open(&path, Open::Empty);
        let file = file.map_err(|error| SpillError::io("create", &path, error))?;
        let database = contain("create", &path, || {
            let cache_bytes = write_cache_bytes(commit_bytes);
            let mut builder = Builder::new();
            Ok(builder.set_cache_size(cache_bytes).create_with_backend(Direct(file))?)
        })?;
        Ok(Self {
            database: Some(database),
            open: None,
            first,
            tail: first,
            path,
            name,
            published: false,
        })
    }

    /// The position of its first frame.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The position behind its last durable frame.
    pub(super) fn tail(&self) -> u64 {
        self.tail
    }

    /// True once a commit has made it part of the store.
    pub(super) fn is_published(&self) -> bool {
        self.published
    }

    /// Its file as it is named now.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a record to the next commit.
    pub(super) fn insert(&mut self, key: u64, value: &[u8]) -> Result<(), SpillError> {
        let (database, open) = (&self.database, &mut self.open);
        let durable = !seeded::has(Bug::AcknowledgeBeforeFsync);
        contain("write to", &self.path, || {
            if open.is_none() {
                let database = database.as_ref().ok_or(redb::Error::DatabaseAlreadyOpen)?;
                let mut transaction = database.begin_write()?;
                let durability = if durable {
                    Durability::Immediate
                } else {
                    Durability::None
                };
                transaction.set_durability(durability)?;
                transaction.set_quick_repair(durable);
                *open = Some(transaction);
            }
            if let Some(transaction) = open {
                transaction.open_table(RECORDS)?.insert(key, value)?;
            }
            Ok(())
        })
    }

    /// Makes everything inserted durable, and with it what has changed of the streams; `tail` is the position behind it.
    ///
    /// # Errors
    /// It is then unknown what is on disk: the writer must not be used again.
    pub(super) fn commit(&mut self, folder: &Folder, tail: u64, changes: &Changes) -> Result<(), SpillError> {
        let Some(transaction) = self.open.take() else {
            return Ok(());
        };
        contain("commit to", &self.path, || {
            {
                let mut meta = transaction.open_table(META)?;
                meta.insert(META_TAIL, tail)?;
                meta.insert(META_TAIL_CRC, crc(tail))?;
            }
            if !changes.marks.is_empty() || !changes.gone.is_empty() {
                let mut streams = transaction.open_table(STREAMS)?;
                for stream in &changes.gone {
                    streams.remove(stream.0)?;
                }
                for (stream, mark) in &changes.marks {
                    streams.insert(stream.0, (mark.sequence, mark.seen_s, mark.crc(*stream)))?;
                }
            }
            Ok(transaction.commit()?)
        })?;
        if !self.published {
            let named = folder.disk().rename(&self.path, &self.name);
            named.map_err(|error| SpillError::io("name", &self.name, error))?;
            self.path.clone_from(&self.name);
            self.published = true;
            folder.sync()?;
        }
        self.tail = tail;
        Ok(())
    }

    /// See [`Reader::read`].
    pub(super) fn read(&self, from: u64, to: u64, bytes: u64) -> Result<Records, SpillError> {
        self.look(|transaction| read(transaction, from, to, bytes))
    }

    /// See [`Reader::first_from`].
    pub(super) fn first_from(&self, position: u64) -> Result<Option<(u64, Bytes)>, SpillError> {
        self.look(|transaction| first_from(transaction, position))
    }

    fn look<T: Default>(&self, act: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>) -> Result<T, SpillError> {
        match &self.database {
            Some(database) => contain("read", &self.path, || act(&database.begin_read()?)),
            None => Ok(T::default()),
        }
    }

    /// Closes the file; what was not committed is undone.
    pub(super) fn close(mut self) -> Result<(), SpillError> {
        let (open, database) = (self.open.take(), self.database.take());
        contain("close", &self.path, || {
            if let Some(open) = open {
                open.abort()?;
            }
            drop(database);
            Ok(())
        })
    }
}

/// Records read from a segment.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// Keys and values, ascending.
    pub(super) records: Vec<(u64, Bytes)>,
    /// True when more were asked for than were read.
    pub(super) more: bool,
}

/// A segment open for reading. Its file is never written: one that was not closed in order, because its process was killed or its disk
/// full, is put in order in memory only.
pub(super) struct Reader {
    /// Until it is dropped.
    database: Option<Database>,
    ended: Arc<AtomicBool>,
    failed: Cell<bool>,
    path: PathBuf,
}

impl Reader {
    /// Opens a segment.
    pub(super) fn open(folder: &Folder, first: u64) -> Result<Self, SpillError> {
        Self::open_file(folder.disk(), folder.segment(first))
    }

    /// Opens a segment whose folder need not be in use by this process.
    pub(super) fn open_file(disk: &dyn Disk, path: PathBuf) -> Result<Self, SpillError> {
        let opened = || {
            let file = Overlay::new(disk.open(&path, Open::Read)?)?;
            file.doubt_last_commit()?;
            Ok(file)
        };
        let file = opened().map_err(|error: std::io::Error| SpillError::io("open", &path, error))?;
        if redb::StorageBackend::len(&file).is_ok_and(|bytes| bytes == 0) {
            // redb would take it for a new one.
            let empty = std::io::Error::other("it is empty");
            return Err(SpillError::io("open", &path, empty));
        }
        let ended = file.ended();
        let database = contain("open", &path, || {
            let mut builder = Builder::new();
            Ok(builder.set_cache_size(READ_CACHE_BYTES).create_with_backend(file)?)
        })?;
        Ok(Self {
            database: Some(database),
            ended,
            failed: Cell::new(false),
            path,
        })
    }

    /// A read of it has failed: redb gives nothing more, whatever the disk would.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.get()
    }

    /// The position behind the last durable frame, as it was committed together with the records; none when that is damaged.
    pub(super) fn tail(&self) -> Result<Option<u64>, SpillError> {
        self.look(|transaction| {
            let meta = transaction.open_table(META)?;
            let (tail, check) = (meta.get(META_TAIL)?, meta.get(META_TAIL_CRC)?);
            let tail = tail.map(|tail| tail.value());
            // Format 1 has no checksum of it.
            Ok(tail.filter(|tail| check.is_none_or(|check| check.value() == crc(*tail))))
        })
    }

    /// How far the streams are that end here, as of its last commit; none when that is damaged.
    pub(super) fn streams(&self) -> Result<Option<Vec<(StreamId, Mark)>>, SpillError> {
        self.look(|transaction| {
            let table = match transaction.open_table(STREAMS) {
                Ok(table) => table,
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Some(Vec::new())),
                Err(error) => return Err(error.into()),
            };
            let mut found = Vec::new();
            for entry in table.iter()? {
                let (stream, mark) = entry?;
                let (stream, (sequence, seen_s, crc)) = (StreamId(stream.value()), mark.value());
                let mark = Mark { sequence, seen_s };
                if crc != mark.crc(stream) {
                    return Ok(None);
                }
                found.push((stream, mark));
            }
            Ok(Some(found))
        })
    }

    /// The position at which it ends, by its last record and by what it says itself.
    ///
    /// # Errors
    /// When these do not agree.
    pub(super) fn end(&self) -> Result<u64, SpillError> {
        let misfit = |what| SpillError::Misfit {
            path: self.path.clone(),
            what,
        };
        let (key, value) = self.last()?.ok_or_else(|| misfit("has no record"))?;
        let end = decode(key, &value).map_err(|source| SpillError::Record {
            position: key,
            path: self.path.clone(),
            source,
        })?;
        match self.tail()? {
            Some(tail) if tail == end.end() => Ok(tail),
            _ => Err(misfit("ends elsewhere than it says")),
        }
    }

    /// The last record.
    pub(super) fn last(&self) -> Result<Option<(u64, Bytes)>, SpillError> {
        self.look(|transaction| {
            let table = transaction.open_table(RECORDS)?;
            let last = table.last()?;
            Ok(last.map(|(key, value)| (key.value(), Bytes::copy_from_slice(value.value()))))
        })
    }

    /// The records from the one that may hold `from` on (its key can be lower), with keys below `to`, at least one and no more once
    /// they have reached `bytes`.
    pub(super) fn read(&self, from: u64, to: u64, bytes: u64) -> Result<Records, SpillError> {
        self.look(|transaction| read(transaction, from, to, bytes))
    }

    /// The first record whose key is `position` or higher.
    pub(super) fn first_from(&self, position: u64) -> Result<Option<(u64, Bytes)>, SpillError> {
        self.look(|transaction| first_from(transaction, position))
    }

    fn look<T>(&self, act: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>) -> Result<T, SpillError> {
        let looked = contain("read", &self.path, || {
            let database = self.database.as_ref().ok_or(redb::Error::DatabaseClosed)?;
            act(&database.begin_read()?)
        });
        looked.inspect_err(|_| self.failed.set(true))
    }
}

impl Drop for Reader {
    /// redb commits when it closes, and aborts the process when it finds damage then: it panics in a destructor. A read that has failed
    /// makes it leave the commit out.
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        let _ = self.tail();
        let database = self.database.take();
        // A panic here concerns a file that is only read, and is closed by the unwinding.
        let _ = contain("close", &self.path, || {
            drop(database);
            Ok(())
        });
    }
}

fn crc(tail: u64) -> u64 {
    u64::from(crc32c::crc32c(&tail.to_le_bytes()))
}

fn read(transaction: &ReadTransaction, from: u64, to: u64, bytes: u64) -> Result<Records, redb::Error> {
    let table = transaction.open_table(RECORDS)?;
    let holder = table.range(..=from)?.next_back().transpose()?;
    let start = holder.map_or(from, |(key, _)| key.value());
    let (mut found, mut taken) = (Records::default(), 0);
    for entry in table.range(start..to.max(start))? {
        if taken >= bytes.max(1) {
            found.more = true;
            break;
        }
        let (key, value) = entry?;
        let (key, value) = (key.value(), Bytes::copy_from_slice(value.value()));
        // A record that only might hold `from` does not count: it may turn out to end before it.
        taken += if key < from { 0 } else { value.len() as u64 };
        found.records.push((key, value));
    }
    Ok(found)
}

fn first_from(transaction: &ReadTransaction, position: u64) -> Result<Option<(u64, Bytes)>, redb::Error> {
    let table = transaction.open_table(RECORDS)?;
    let first = table.range(position..)?.next().transpose()?;
    Ok(first.map(|(key, value)| (key.value(), Bytes::copy_from_slice(value.value()))))
}
