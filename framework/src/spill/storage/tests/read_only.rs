//! A store on a file system that was mounted read-only.

use std::fs;
use std::io;
use std::sync::Arc;

use rustix::io::Errno;

use super::*;
use crate::spill::disk::{Disk, DiskFile, Open, System};

/// The system's disk, mounted read-only.
#[derive(Debug)]
struct ReadOnly;

fn refuse<T>() -> io::Result<T> {
    Err(Errno::ROFS.into())
}

impl Disk for ReadOnly {
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn DiskFile>> {
        match how {
            Open::Read => System.open(path, how),
            Open::Write | Open::Empty => refuse(),
        }
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        System.names(folder)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() { Ok(()) } else { refuse() }
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        refuse()
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        refuse()
    }

    fn is_foreign(&self, path: &Path) -> bool {
        System.is_foreign(path)
    }

    fn is_no_folder(&self, path: &Path) -> bool {
        System.is_no_folder(path)
    }

    fn make_private(&self, _: &Path) -> io::Result<()> {
        refuse()
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        System.sync_folder(folder)
    }

    fn allocated_bytes(&self, path: &Path) -> io::Result<u64> {
        System.allocated_bytes(path)
    }
}

fn open(path: &Path) -> Result<(Storage, Recovered), SpillError> {
    Storage::open_on(Arc::new(ReadOnly), &options(path))
}

/// Everything in it, by name.
fn content(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.path().is_file());
    files
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}

/// 7,000 frames, of which 1,500 are settled.
fn stored() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (mut storage, _) = Storage::open(&options(folder.path())).unwrap();
    for first in (0..7_000).step_by(500) {
        append(&mut storage, first..first + 500);
    }
    storage.settle(1_500).unwrap();
    storage.close().unwrap();
    folder
}

#[test]
fn what_is_stored_is_delivered_stays_and_comes_again() {
    let folder = stored();
    let before = content(folder.path());
    for _ in 0..2 {
        let (mut storage, recovered) = open(folder.path()).unwrap();
        assert_eq!(
            (recovered.read_only, recovered.settled, recovered.tail),
            (true, 1_500, 7_000)
        );
        let (found, lost) = read_all(&mut storage, 1_500);
        assert_eq!(lost, 0);
        assert!(found == (1_500..7_000).map(line).collect::<Vec<_>>());
        // As if they were settled and deleted, until the end.
        storage.settle(5_000).unwrap();
        assert!(read_all(&mut storage, 5_000).0 == (5_000..7_000).map(line).collect::<Vec<_>>());
        storage.settle(7_000).unwrap();
        storage.close().unwrap();
        assert!(content(folder.path()) == before, "something on the disk has changed");
    }
    let (_, recovered) = Storage::open(&options(folder.path())).unwrap();
    assert_eq!(
        (recovered.read_only, recovered.frames),
        (false, 5_500),
        "it can be written again"
    );
}

#[test]
fn what_arrives_is_not_stored_and_nothing_is_given_up_for_it() {
    let folder = stored();
    let (mut storage, _) = open(folder.path()).unwrap();
    let error = storage.append(7_000, &batch_of(7_000, ["new"])).unwrap_err();
    assert!(!error.is_full() && error.to_string().contains("Read-only"), "{error}");
    assert_eq!(storage.drop_oldest_segment(0..7_000).unwrap(), None);
    assert_eq!(storage.expire(7_000, std::time::Duration::ZERO).unwrap(), None);
    assert_eq!(read_all(&mut storage, 1_500).0.len(), 5_500);
}

#[test]
fn clients_are_served_and_a_damaged_segment_is_set_aside_in_thought_only() {
    let folder = stored();
    let second = segments(folder.path())[1].clone();
    fs::write(&second, "damaged").unwrap();
    let before = content(folder.path());
    let (mut storage, _) = open(folder.path()).unwrap();
    storage.make_named(&"client".into(), 1_500).unwrap();
    storage.settle_named("client", 2_000).unwrap();
    let (found, lost) = read_all(&mut storage, 1_500);
    assert_eq!(found.len() as u64 + lost, 5_500);
    assert!(lost > 0);
    storage.settle(7_000).unwrap();
    storage.close().unwrap();
    assert!(content(folder.path()) == before, "something on the disk has changed");
}

#[test]
fn a_store_in_use_by_another_is_not_opened() {
    let folder = stored();
    let (_held, _) = Storage::open(&options(folder.path())).unwrap();
    assert!(matches!(open(folder.path()), Err(SpillError::InUse { .. })));
}

#[test]
fn where_there_is_no_store_none_can_be_made() {
    let folder = tempfile::tempdir().unwrap();
    let error = open(&folder.path().join("new")).unwrap_err();
    assert!(error.to_string().contains("Read-only"), "{error}");
}
