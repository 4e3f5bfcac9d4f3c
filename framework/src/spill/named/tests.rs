use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Disk, FOLDER};
use crate::spill::disk::{DiskFile, Open, System};
use crate::spill::inspect::Inspection;
use crate::spill::testing::batch_of;
use crate::spill::{Retention, SpillOptions, Storage};

fn options(path: &Path) -> SpillOptions {
    SpillOptions {
        segment_bytes: 100_000,
        commit_bytes: 50_000,
        retention: Some(Retention {
            bytes: 1 << 30,
            age: None,
            max_cursors: 10,
        }),
        ..SpillOptions::new(path)
    }
}

fn open(path: &Path) -> Storage {
    Storage::open(&options(path)).unwrap().0
}

fn found(storage: &Storage) -> Vec<(String, u64, bool)> {
    let named = storage.named().iter();
    named
        .map(|cursor| (cursor.name.to_string(), cursor.position, cursor.whole))
        .collect()
}

fn append(storage: &mut Storage, first: u64, received_ns: u64) {
    let lines: Vec<String> = (first..first + 500).map(|number| format!("{number:099}")).collect();
    let mut batch = batch_of(first, lines.iter().map(String::as_str));
    batch.wait.since_ns = received_ns;
    storage.append(first, &batch).unwrap();
    storage.commit().unwrap();
}

/// A store of 2,000 frames with two cursors, as kill -9 leaves it.
fn killed(path: &Path) {
    let mut storage = open(path);
    for first in (0..2_000).step_by(500) {
        append(&mut storage, first, 1 + first);
    }
    for name in ["a", "b"] {
        storage.make_named(&name.into(), 0).unwrap();
    }
    storage.settle_named("a", 700).unwrap();
    storage.settle_named("a", 900).unwrap();
    storage.settle_named("a", 300).unwrap();
    storage.settle_named("unknown", 300).unwrap();
}

#[test]
fn cursors_are_there_after_a_kill_and_never_go_back() {
    let folder = tempfile::tempdir().unwrap();
    killed(folder.path());
    let storage = open(folder.path());
    assert_eq!(found(&storage), [("a".into(), 900, true), ("b".into(), 0, true)]);
    let seen = Inspection::of(folder.path()).unwrap();
    let seen: Vec<_> = seen.cursors.iter().map(|one| (&*one.name, one.position)).collect();
    assert_eq!(seen, [("a", 900), ("b", 0)]);
}

#[test]
fn an_older_program_refuses_a_store_with_cursors_and_takes_one_without() {
    let folder = tempfile::tempdir().unwrap();
    let format = || fs::read_to_string(folder.path().join("format")).unwrap();
    drop(open(folder.path()));
    assert!(format().starts_with("aqueduct-spill 2 "), "{}", format());
    killed(folder.path());
    assert!(format().starts_with("aqueduct-spill 3 "), "{}", format());
}

#[test]
fn a_torn_slot_leaves_the_other_and_a_damaged_file_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    killed(folder.path());
    let file = folder.path().join("cursors/a.cursor");
    let whole = fs::read(&file).unwrap();
    let mut lowest = u64::MAX;
    for slot in [0, 4096] {
        let mut torn = whole.clone();
        torn[slot + 10] ^= 1;
        fs::write(&file, torn).unwrap();
        let (name, position, is_whole) = found(&open(folder.path())).remove(0);
        assert_eq!((name.as_str(), is_whole), ("a", false));
        lowest = lowest.min(position);
        fs::write(&file, &whole).unwrap();
    }
    assert_eq!(lowest, 700, "the position before");
    for content in [&b""[..], b"nonsense", &[0; 8192]] {
        fs::write(&file, content).unwrap();
        assert_eq!(found(&open(folder.path()))[0], ("a".into(), 0, false));
    }
}

#[test]
fn files_that_are_no_cursors_are_none() {
    let folder = tempfile::tempdir().unwrap();
    killed(folder.path());
    let cursors = folder.path().join("cursors");
    for name in ["c.cursor.new", "notes.txt", ".cursor", "with space.cursor"] {
        fs::write(cursors.join(name), "").unwrap();
    }
    assert_eq!(found(&open(folder.path())).len(), 2);
    assert!(
        !cursors.join("c.cursor.new").exists(),
        "never finished, and so never used"
    );
    assert!(cursors.join("notes.txt").exists());
}

#[test]
fn a_forgotten_cursor_is_gone_for_good() {
    let folder = tempfile::tempdir().unwrap();
    killed(folder.path());
    let mut storage = open(folder.path());
    assert!(storage.forget_named("a").unwrap());
    assert!(!storage.forget_named("a").unwrap() && !storage.forget_named("../main").unwrap());
    storage.close().unwrap();
    assert_eq!(found(&open(folder.path())), [("b".into(), 0, true)]);
}

#[test]
fn a_cursor_beyond_what_is_left_keeps_its_positions_from_being_given_again() {
    let folder = tempfile::tempdir().unwrap();
    killed(folder.path());
    let mut storage = open(folder.path());
    storage.settle_named("a", 2_000).unwrap();
    storage.close().unwrap();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "redb") {
            fs::write(&path, "rotten").unwrap();
        }
    }
    let (storage, recovered) = Storage::open(&options(folder.path())).unwrap();
    assert_eq!(recovered.tail, 2_000);
    assert_eq!(found(&storage)[0], ("a".into(), 2_000, true));
}

#[test]
fn segments_go_once_their_newest_frame_is_too_old_whatever_the_clock_of_the_system_says() {
    const HOUR: Duration = Duration::from_secs(3_600);
    let folder = tempfile::tempdir().unwrap();
    let mut storage = open(folder.path());
    for first in (0..6_000).step_by(500) {
        if first == 3_000 {
            storage.grow_older(HOUR);
        }
        // As after a start at 1970, and then set forward: by their own stamps they are very old, and very new.
        append(&mut storage, first, if first < 1_000 { 1 } else { u64::MAX / 2 });
    }
    let segments = storage.usage().segments;
    assert!(segments > 2, "{segments}");
    assert_eq!(storage.expire(6_000, 2 * HOUR).unwrap(), None, "none is that old");
    let mut gone = 0;
    while let Some(range) = storage.expire(6_000, HOUR / 2).unwrap() {
        assert_eq!(range.start, gone);
        gone = range.end;
    }
    assert!(
        (500..=3_000).contains(&gone),
        "{gone}: the next segment holds one that is newer"
    );
    // What is known of ages survives a restart, and the time in between does not count.
    storage.close().unwrap();
    let mut storage = open(folder.path());
    assert_eq!(storage.expire(6_000, HOUR / 2).unwrap(), None);
    storage.grow_older(HOUR);
    // The one that is written goes when it began long ago and all in it is old.
    while let Some(range) = storage.expire(6_000, HOUR / 2).unwrap() {
        gone = range.end;
    }
    assert_eq!((gone, storage.usage().segments), (6_000, 0));
    append(&mut storage, 6_000, 20_000);
    assert_eq!(storage.read(6_000, 6_500, 1).unwrap().unreadable, 0);
}

/// The system's disk, which gives back no name of a cursor that was not synced, and fails when it is told to.
#[derive(Debug, Default)]
struct Forgetful {
    durable: Mutex<BTreeSet<String>>,
    /// Syncs and removals to fail.
    failures: AtomicUsize,
}

impl Forgetful {
    fn pass(&self) -> io::Result<()> {
        let failures = &self.failures;
        match failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) {
            Ok(_) => Err(io::Error::other("the disk fails")),
            Err(_) => Ok(()),
        }
    }

    fn lose_power(&self, store: &Path) {
        let folder = store.join(FOLDER);
        for name in System.names(&folder).unwrap() {
            if !self.durable.lock().unwrap().contains(&name) {
                fs::remove_file(folder.join(name)).unwrap();
            }
        }
    }
}

impl Disk for Forgetful {
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn DiskFile>> {
        System.open(path, how)
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
        self.pass()?;
        System.remove(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        if path.ends_with(FOLDER) {
            self.pass()?;
            *self.durable.lock().unwrap() = System.names(path)?.into_iter().collect();
        }
        System.sync_folder(path)
    }

    fn allocated_bytes(&self, path: &Path) -> io::Result<u64> {
        System.allocated_bytes(path)
    }
}

/// Its folder could not be synced, nor could the file be removed again; the next start finds it, and somebody uses it.
#[test]
fn a_cursor_that_a_start_found_is_there_after_a_power_cut() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(Forgetful::default());
    let open = || Storage::open_on(disk.clone(), &options(folder.path()));
    let mut storage = open().unwrap().0;
    append(&mut storage, 0, 1);
    disk.failures.store(2, Ordering::Relaxed);
    assert!(storage.make_named(&"a".into(), 0).is_err());
    storage.close().unwrap();

    disk.failures.store(1, Ordering::Relaxed);
    assert!(open().is_err(), "it finds a cursor that it could not make durable");
    let mut storage = open().unwrap().0;
    storage.settle_named("a", 300).unwrap();
    drop(storage);

    disk.lose_power(folder.path());
    assert_eq!(found(&open().unwrap().0), [("a".into(), 300, true)]);
}

#[test]
fn cursors_whose_files_were_exchanged_skip_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut storage = open(folder.path());
    append(&mut storage, 0, 1);
    for name in ["fast", "slow"] {
        storage.make_named(&name.into(), 0).unwrap();
    }
    storage.settle_named("fast", 400).unwrap();
    storage.close().unwrap();
    let path = |name: &str| folder.path().join(FOLDER).join(name);
    fs::rename(path("fast.cursor"), path("away")).unwrap();
    fs::rename(path("slow.cursor"), path("fast.cursor")).unwrap();
    fs::rename(path("away"), path("slow.cursor")).unwrap();
    let mut storage = open(folder.path());
    assert_eq!(found(&storage), [("fast".into(), 0, false), ("slow".into(), 0, false)]);
    storage.settle_named("slow", 100).unwrap();
    storage.settle_named("slow", 200).unwrap();
    storage.close().unwrap();
    let storage = open(folder.path());
    assert_eq!(
        found(&storage)[1],
        ("slow".into(), 200, true),
        "it is its own from then on"
    );
}

#[test]
fn what_stands_in_the_place_of_the_folder_of_cursors_is_set_aside() {
    let (file, link) = (
        |path: &Path| fs::write(path, "a file").unwrap(),
        |path: &Path| std::os::unix::fs::symlink("nowhere", path).unwrap(),
    );
    for put in [&file as &dyn Fn(&Path), &link] {
        let folder = tempfile::tempdir().unwrap();
        open(folder.path()).close().unwrap();
        let place = folder.path().join(FOLDER);
        put(&place);
        let mut storage = open(folder.path());
        assert!(fs::symlink_metadata(folder.path().join("cursors.foreign1")).is_ok());
        // A client can be served.
        storage.make_named(&"a".into(), 0).unwrap();
        storage.close().unwrap();
        assert_eq!(found(&open(folder.path())), [("a".to_owned(), 0, true)]);
    }
}
