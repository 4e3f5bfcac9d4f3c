//! A segment: one redb file of records. The newest is written, older ones are only read.
//!
//! Every commit is durable and saves redb's allocator state ("quick repair", two syncs): so a file that a killed process left can be opened
//! at once, whatever its size.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use redb::{
    Builder, Database, DatabaseError, Durability, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, TableDefinition,
    TransactionError, WriteTransaction,
};

use super::SpillError;
use super::error::contain;
use super::folder::{Folder, allocated_bytes};

const RECORDS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");
/// What is committed together with the records.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const META_TAIL: &str = "tail";
/// redb keeps up to half of its cache for what a transaction wrote. Pages beyond that it writes early, reads back for their checksums
/// and writes again at the commit (measured: 1.5 times the bytes), so a whole commit must fit.
fn write_cache_bytes(commit_bytes: u64) -> usize {
    (2 * commit_bytes + WRITE_CACHE_SPARE_BYTES) as usize
}

/// The largest record, inner pages and redb's own tables come on top of what a commit gathers.
const WRITE_CACHE_SPARE_BYTES: u64 = 2 << 20;
/// Records are read once, in order: a cache only holds the tree's inner pages.
const READ_CACHE_BYTES: usize = 1 << 20;

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
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(SpillError::io("remove", &path, error));
            }
            _ => {}
        }
        let database = contain("create", &path, || {
            let cache_bytes = write_cache_bytes(commit_bytes);
            Ok(Builder::new().set_cache_size(cache_bytes).create(&path)?)
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

    /// The bytes it takes on disk.
    pub(super) fn bytes(&self) -> u64 {
        allocated_bytes(&self.path)
    }

    /// Adds a record to the next commit.
    pub(super) fn insert(&mut self, key: u64, value: &[u8]) -> Result<(), SpillError> {
        let (database, open) = (&self.database, &mut self.open);
        contain("write to", &self.path, || {
            if open.is_none() {
                let database = database.as_ref().ok_or(redb::Error::DatabaseAlreadyOpen)?;
                let mut transaction = database.begin_write()?;
                transaction.set_durability(Durability::Immediate)?;
                transaction.set_quick_repair(true);
                *open = Some(transaction);
            }
            if let Some(transaction) = open {
                transaction.open_table(RECORDS)?.insert(key, value)?;
            }
            Ok(())
        })
    }

    /// Makes everything inserted durable; `tail` is the position behind it.
    ///
    /// # Errors
    /// It is then unknown what is on disk: the writer must not be used again.
    pub(super) fn commit(&mut self, folder: &Folder, tail: u64) -> Result<(), SpillError> {
        let Some(transaction) = self.open.take() else {
            return Ok(());
        };
        contain("commit to", &self.path, || {
            transaction.open_table(META)?.insert(META_TAIL, tail)?;
            Ok(transaction.commit()?)
        })?;
        if !self.published {
            fs::rename(&self.path, &self.name).map_err(|error| SpillError::io("name", &self.name, error))?;
            self.path.clone_from(&self.name);
            self.published = true;
            folder.sync()?;
        }
        self.tail = tail;
        Ok(())
    }

    /// The durable records from the one that holds `from` on; see [`Reader::read`].
    pub(super) fn read(&self, from: u64, to: u64, bytes: u64) -> Result<Records, SpillError> {
        match &self.database {
            Some(database) => contain("read", &self.path, || read(&database.begin_read()?, from, to, bytes)),
            None => Ok(Records::default()),
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
    /// The first key that was not read.
    pub(super) next_key: Option<u64>,
}

/// A segment open for reading.
pub(super) struct Reader {
    database: Opened,
    path: PathBuf,
}

/// redb opens a file for reading only when it was closed in order. One that was not, because its process was killed or its disk full, is
/// opened as if it were to be written, which needs no space: it is put in order when it is closed, or, on a full disk, the next time.
enum Opened {
    InOrder(ReadOnlyDatabase),
    LeftOpen(Database),
}

impl Opened {
    fn begin_read(&self) -> Result<ReadTransaction, TransactionError> {
        match self {
            Self::InOrder(database) => database.begin_read(),
            Self::LeftOpen(database) => database.begin_read(),
        }
    }
}

impl Reader {
    /// Opens a segment.
    pub(super) fn open(path: &Path) -> Result<Self, SpillError> {
        let database = contain("open", path, || {
            let mut builder = Builder::new();
            builder.set_cache_size(READ_CACHE_BYTES);
            match builder.open_read_only(path) {
                Err(DatabaseError::RepairAborted) => Ok(Opened::LeftOpen(builder.open(path)?)),
                opened => Ok(Opened::InOrder(opened?)),
            }
        })?;
        Ok(Self {
            database,
            path: path.to_owned(),
        })
    }

    /// The position behind the last durable frame.
    pub(super) fn tail(&self) -> Result<u64, SpillError> {
        contain("read", &self.path, || {
            let transaction = self.database.begin_read()?;
            let tail = transaction.open_table(META)?.get(META_TAIL)?;
            Ok(tail.map_or(0, |tail| tail.value()))
        })
    }

    /// The records from the one that may hold `from` on (its key can be lower), with keys below `to`, at least one and no more once
    /// they have reached `bytes`.
    pub(super) fn read(&self, from: u64, to: u64, bytes: u64) -> Result<Records, SpillError> {
        contain("read", &self.path, || {
            read(&self.database.begin_read()?, from, to, bytes)
        })
    }

    /// True when others may have it open too; false for one that had been left open, which is put in order when this is closed.
    pub(super) fn shares(&self) -> bool {
        matches!(self.database, Opened::InOrder(_))
    }

    /// Closes the file, whatever state it is in.
    pub(super) fn close(self) {
        let path = self.path.clone();
        // A panic here concerns a file that is only read, and is closed by the unwinding.
        let _ = contain("close", &path, || {
            drop(self);
            Ok(())
        });
    }
}

fn read(transaction: &ReadTransaction, from: u64, to: u64, bytes: u64) -> Result<Records, redb::Error> {
    let table = transaction.open_table(RECORDS)?;
    let holder = table.range(..=from)?.next_back().transpose()?;
    let start = holder.map_or(from, |(key, _)| key.value());
    let (mut found, mut taken) = (Records::default(), 0);
    for entry in table.range(start..to)? {
        let (key, value) = entry?;
        let key = key.value();
        if taken >= bytes.max(1) {
            found.next_key = Some(key);
            break;
        }
        let value = Bytes::copy_from_slice(value.value());
        // A record that only might hold `from` does not count: it may turn out to end before it.
        taken += if key < from { 0 } else { value.len() as u64 };
        found.records.push((key, value));
    }
    Ok(found)
}
