//! A store on a disk that somebody has filled: only what must go goes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{line, lines, options};
use crate::receipt::{Fate, Settled};
use crate::spill::disk::{Disk, DiskFile, Open, System};
use crate::spill::fifo::{Effect, Fifo, Mode};
use crate::spill::testing::{batch_of, text};
use crate::spill::{Persist, SpillError, SpillOptions, Storage, WhenFull};

/// The system's disk with a room of its own, in allocated bytes; what is over that fails with an error of its own.
#[derive(Debug, Clone)]
struct Small {
    folder: PathBuf,
    room: Arc<AtomicU64>,
    errno: i32,
    /// No file may be longer.
    longest: u64,
}

impl Small {
    fn has_room(&self, bytes: u64) -> io::Result<()> {
        let names = System.names(&self.folder)?;
        let taken = names.iter().map(|name| System.allocated_bytes(&self.folder.join(name)));
        if taken.flatten().sum::<u64>() + bytes > self.room.load(Ordering::Relaxed) {
            return Err(io::Error::from_raw_os_error(self.errno));
        }
        Ok(())
    }

    fn may_be_so_long(&self, bytes: u64) -> io::Result<()> {
        if bytes > self.longest {
            return Err(io::Error::from_raw_os_error(rustix::io::Errno::FBIG.raw_os_error()));
        }
        Ok(())
    }
}

#[derive(Debug)]
struct File(Box<dyn DiskFile>, Small);

impl Disk for Small {
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn DiskFile>> {
        let file = System.open(path, how)?;
        let bounded = path.to_string_lossy().contains(".redb");
        Ok(if bounded {
            Box::new(File(file, self.clone()))
        } else {
            file
        })
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        System.names(folder)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        System.create_folder(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        System.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        System.remove(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        System.sync_folder(path)
    }

    fn allocated_bytes(&self, path: &Path) -> io::Result<u64> {
        System.allocated_bytes(path)
    }
}

impl DiskFile for File {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.0.read_at(at, into)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.1.has_room(bytes.len() as u64)?;
        self.1.may_be_so_long(at + bytes.len() as u64)?;
        self.0.write_at(at, bytes)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.1.may_be_so_long(bytes)?;
        self.0.set_len(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn reserve(&self, bytes: u64) -> io::Result<()> {
        self.1.has_room(bytes)?;
        self.0.reserve(bytes)
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.0.try_lock()
    }
}

/// Ten seconds of the store's own time are enough for anything that is tried again every second.
const TICKS: u64 = 100;

struct Store {
    fifo: Fifo,
    storage: Storage,
    failed: Option<u64>,
    now_ns: u64,
    deliver: bool,
    delivered: Vec<String>,
    errors: Vec<SpillError>,
}

impl Store {
    fn open(disk: &Small, options: &SpillOptions) -> Self {
        let (storage, recovered) = Storage::open_on(Arc::new(disk.clone()), options).unwrap();
        Self {
            fifo: Fifo::new(options, recovered),
            storage,
            failed: None,
            now_ns: 0,
            deliver: false,
            delivered: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// False when it would not take more, however long one waits.
    fn append(&mut self, number: u64) -> bool {
        for _ in 0..TICKS {
            if self.fifo.may_accept() {
                let lines: Vec<String> = (number * 100..number * 100 + 100).map(line).collect();
                let batch = batch_of(number * 100, lines.iter().map(String::as_str));
                self.fifo.append(batch, self.now_ns);
                self.effects();
                return true;
            }
            self.tick();
        }
        false
    }

    fn tick(&mut self) {
        self.now_ns += 100_000_000;
        self.fifo.tick(self.now_ns);
        self.effects();
    }

    fn effects(&mut self) {
        while let Some(effect) = self.fifo.next(self.deliver) {
            match effect {
                Effect::Hand {
                    token, epoch, batch, ..
                } => {
                    self.delivered.extend(text(&batch));
                    let fate = Fate::Delivered;
                    self.fifo.settled(Settled {
                        token,
                        epoch,
                        fate,
                        done_below: 0,
                    });
                }
                Effect::Write { generation, batches } if self.failed != Some(generation) => {
                    let written = batches
                        .iter()
                        .try_for_each(|(position, batch)| self.storage.append(*position, batch))
                        .and_then(|()| self.storage.commit());
                    match written {
                        Ok(tail) => self.fifo.committed(tail, self.storage.usage()),
                        Err(error) => {
                            self.failed = Some(generation);
                            self.fifo
                                .write_failed(self.now_ns, error.is_full_for(WhenFull::DropOldest));
                            self.errors.push(error);
                        }
                    }
                }
                Effect::Read { from, to, bytes } => {
                    self.fifo.read_done(self.storage.read(from, to, bytes).unwrap());
                }
                Effect::PersistCursor { position } => {
                    self.storage.settle(position).unwrap();
                    self.fifo.cursor_persisted(position, self.storage.usage());
                }
                Effect::DropOldest { from, to } => {
                    let range = self.storage.drop_oldest_segment(from..to).unwrap();
                    self.fifo.oldest_dropped(range, self.storage.usage());
                }
                _ => {}
            }
        }
    }

    fn drain(mut self) -> (Vec<String>, u64) {
        self.deliver = true;
        for _ in 0..TICKS {
            self.tick();
        }
        (self.delivered, self.fifo.state().dropped.oldest)
    }
}

const STORED: u64 = 200;
const NO_ROOM: i32 = rustix::io::Errno::NOSPC.raw_os_error();

/// A store with 200 batches of 10,000 bytes on disk, and then a disk without room for more.
fn full(persist: Persist, errno: i32) -> (tempfile::TempDir, Small, Store) {
    let folder = tempfile::tempdir().unwrap();
    let disk = Small {
        folder: folder.path().to_owned(),
        room: Arc::new(AtomicU64::new(u64::MAX)),
        errno,
        longest: u64::MAX,
    };
    let options = SpillOptions {
        when_full: WhenFull::DropOldest,
        ..options(folder.path(), persist)
    };
    let mut store = Store::open(&disk, &options);
    for number in 0..STORED {
        assert!(store.append(number));
    }
    let taken = store.fifo.state().disk_bytes;
    disk.room.store(taken, Ordering::Relaxed);
    (folder, disk, store)
}

#[test]
fn on_a_full_disk_no_more_of_the_oldest_goes_than_what_comes_needs() {
    for persist in [Persist::Overflow, Persist::Always] {
        let (_folder, _disk, mut store) = full(persist, NO_ROOM);
        let segments = store.storage.usage().segments;
        // A tenth of what is stored.
        for number in STORED..STORED + STORED / 10 {
            assert!(store.append(number), "{persist:?}: it goes on");
        }
        let left = store.storage.usage().segments;
        assert!(
            left * 10 >= segments * 7,
            "{persist:?}: {left} of {segments} segments are left"
        );
        let (delivered, dropped) = store.drain();
        assert!(dropped > 0, "the disk was full");
        assert!(
            dropped <= STORED * 100 * 3 / 10,
            "{persist:?}: {dropped} were deleted for 2,000"
        );
        let all = lines((STORED + STORED / 10) * 100);
        assert!(
            delivered == all[dropped as usize..],
            "{persist:?}: the newest come, in order"
        );
    }
}

#[test]
fn what_must_be_durable_does_not_wait_in_memory_for_memory_to_be_full() {
    let (_folder, _disk, mut store) = full(Persist::Always, NO_ROOM);
    assert!(store.append(STORED));
    for _ in 0..TICKS {
        store.tick();
    }
    let state = store.fifo.state();
    assert_eq!(state.committed, state.tail, "{state:?}");
}

#[test]
fn a_failure_that_is_not_for_lack_of_room_deletes_nothing() {
    for errno in [rustix::io::Errno::MFILE, rustix::io::Errno::IO] {
        let (_folder, disk, mut store) = full(Persist::Always, errno.raw_os_error());
        let mut number = STORED;
        while store.append(number) {
            number += 1;
        }
        assert!(
            !store.errors.is_empty(),
            "{errno:?}: memory is full, and nothing more is taken"
        );
        disk.room.store(u64::MAX, Ordering::Relaxed);
        let (delivered, dropped) = store.drain();
        assert_eq!(dropped, 0, "{errno:?}");
        assert!(
            delivered == lines(number * 100),
            "{errno:?}: everything comes once there is room"
        );
    }
}

#[test]
fn a_store_that_is_drained_says_no_more_that_it_is_full() {
    let (_folder, _disk, mut store) = full(Persist::Overflow, NO_ROOM);
    let mut number = STORED;
    while store.errors.is_empty() {
        assert!(store.append(number));
        number += 1;
    }
    assert!(!store.fifo.needs_room(), "one failure is tried again first");
    store.deliver = true;
    for _ in 0..TICKS {
        store.tick();
    }
    let state = store.fifo.state();
    assert_eq!((state.waiting_frames, state.mode, state.full), (0, Mode::Memory, false));
}

#[test]
fn a_file_size_limit_deletes_nothing_and_the_next_segments_stay_below_it() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Small {
        folder: folder.path().to_owned(),
        room: Arc::new(AtomicU64::new(u64::MAX)),
        errno: NO_ROOM,
        longest: 3 << 20,
    };
    let options = SpillOptions {
        when_full: WhenFull::DropOldest,
        segment_bytes: 64 << 20,
        commit_bytes: 50_000,
        ..options(folder.path(), Persist::Always)
    };
    let mut store = Store::open(&disk, &options);
    for number in 0..2 * STORED {
        assert!(store.append(number), "it goes on");
    }
    assert!(!store.errors.is_empty(), "the limit was met");
    let before = store.errors.len();
    for number in 2 * STORED..4 * STORED {
        assert!(store.append(number), "it goes on");
    }
    assert_eq!(store.errors.len(), before, "{:?}", store.errors.last());
    let (delivered, dropped) = store.drain();
    assert_eq!(dropped, 0);
    assert!(delivered == lines(4 * STORED * 100), "everything comes, in order");
}
