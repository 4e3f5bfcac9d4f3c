//! What a start finds of the end of the last run.

use std::fs;

use super::*;

#[test]
fn a_newest_segment_that_somebody_deleted_counts_as_lost_with_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let (mut storage, _) = Storage::open(&options(folder.path())).unwrap();
    for first in (0..7_000).step_by(1_000) {
        append(&mut storage, first..first + 1_000);
    }
    storage.close().unwrap();
    let newest = segments(folder.path()).pop().unwrap();
    fs::remove_file(&newest).unwrap();
    let left: u64 = newest.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let (mut storage, recovered) = Storage::open(&options(folder.path())).unwrap();
    assert_eq!((recovered.end_missing, recovered.tail), (7_000 - left, 7_000));
    append(&mut storage, 7_000..7_500);
    let (found, lost) = read_all(&mut storage, 0);
    assert_eq!(lost, 7_000 - left);
    let expected: Vec<String> = (0..left).chain(7_000..7_500).map(line).collect();
    assert!(found == expected);
}

#[test]
fn a_kill_is_seen_by_the_next_start_and_an_orderly_end_is_not_taken_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let (mut storage, recovered) = Storage::open(&options(folder.path())).unwrap();
    assert!(!recovered.killed, "it is new");
    append(&mut storage, 0..100);
    let killed = image(folder.path());
    storage.close().unwrap();
    let (_, recovered) = Storage::open(&options(killed.path())).unwrap();
    assert!(recovered.killed);
    let (_, recovered) = Storage::open(&options(folder.path())).unwrap();
    assert_eq!((recovered.killed, recovered.end_missing), (false, 0));
}

#[test]
fn whoever_begins_a_store_elsewhere_is_told_where_its_frames_are() {
    let above = tempfile::tempdir().unwrap();
    let options = |name: &str, owner: &str| SpillOptions {
        owner: owner.to_owned(),
        ..options(&above.path().join(name))
    };
    let (mut storage, _) = Storage::open(&options("old", "feed drain")).unwrap();
    append(&mut storage, 0..100);
    storage.close().unwrap();
    // A tool leaves it as it is.
    Storage::open(&options("old", "")).unwrap().0.close().unwrap();
    let (other, _) = Storage::open(&options("another", "feed other")).unwrap();
    assert_eq!(other.left_behind(), None);
    let (new, _) = Storage::open(&options("new", "feed drain")).unwrap();
    assert_eq!(new.left_behind(), Some(&*above.path().join("old")));
}

#[test]
fn a_full_store_keeps_to_its_bound_however_often_it_is_killed_and_started() {
    let mut folder = tempfile::tempdir().unwrap();
    let bounded = |path: &Path| SpillOptions {
        max_bytes: 4 << 20,
        segment_bytes: 1 << 20,
        when_full: crate::spill::WhenFull::DropOldest,
        ..options(path)
    };
    let mut next = 0;
    for start in 0..30 {
        let options = bounded(folder.path());
        let (mut storage, recovered) = Storage::open(&options).unwrap();
        let mut fifo = crate::spill::fifo::Fifo::new(&options, recovered);
        let most = |storage: &Storage| {
            let taken: u64 = segments(folder.path()).iter().map(|path| folder_bytes(path)).sum();
            assert_eq!(taken, storage.usage().bytes, "what it says is what it takes");
            assert!(taken <= options.max_bytes, "start {start}: {taken}");
        };
        most(&storage);
        assert_eq!(recovered.tail, next, "start {start}");
        for _ in 0..8 {
            while fifo.needs_room() {
                let range = storage.drop_oldest_segment(0..u64::MAX).unwrap();
                assert!(range.is_some(), "something can go");
                fifo.oldest_dropped(range, storage.usage());
            }
            append(&mut storage, next..next + 1_000);
            next += 1_000;
            fifo.committed(next, storage.usage());
            most(&storage);
        }
        let killed = image(folder.path());
        match start % 3 {
            0 => storage.close().unwrap(),
            _ => folder = killed,
        }
    }
}

fn folder_bytes(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(path).unwrap().blocks() * 512
}

#[test]
fn what_stands_in_the_place_of_a_side_file_and_is_none_keeps_no_store_from_starting() {
    for name in [
        "format",
        "lock",
        "main.cursor",
        "run",
        "ages",
        "reserve",
        "streams",
        "stream",
        "cursors/client.cursor",
        "format.tmp",
        "run.tmp",
    ] {
        for link in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let (mut storage, _) = Storage::open(&options(folder.path())).unwrap();
            append(&mut storage, 0..100);
            storage.make_named(&"client".into(), 0).unwrap();
            storage.close().unwrap();
            let path = folder.path().join(name);
            let _ = fs::remove_file(&path);
            match link {
                true => std::os::unix::fs::symlink("nowhere", &path).unwrap(),
                false => fs::create_dir(&path).unwrap(),
            }
            let (mut storage, _) = Storage::open(&options(folder.path())).unwrap();
            assert_eq!(read_all(&mut storage, 0).0.len(), 100, "{name}");
            let aside = folder.path().join(format!("{name}.foreign1"));
            assert!(fs::symlink_metadata(aside).is_ok(), "{name}");
        }
    }
}

#[test]
fn the_quarantine_keeps_to_its_bound_over_starts_and_when_a_kill_left_it_larger() {
    const MOST: u64 = 1_000_000;
    let folder = tempfile::tempdir().unwrap();
    let bounded = SpillOptions {
        quarantine_bytes: MOST,
        ..options(folder.path())
    };
    let quarantine = folder.path().join("quarantine");
    let kept = || -> u64 {
        let files = fs::read_dir(&quarantine).unwrap().map(|entry| entry.unwrap().path());
        let segments = files.filter(|path| path.extension().is_some_and(|end| end == "redb"));
        segments.map(|path| folder_bytes(&path)).sum()
    };
    let mut deleted = 0;
    for start in 0..12 {
        let (mut storage, recovered) = Storage::open(&bounded).unwrap();
        let next = recovered.tail;
        append(&mut storage, next..next + 1_000);
        append(&mut storage, next + 1_000..next + 2_000);
        append(&mut storage, next + 2_000..next + 6_000);
        let first = segments(folder.path())[0].clone();
        let bytes = fs::read(&first).unwrap();
        fs::write(&first, &bytes[..bytes.len() / 2]).unwrap();
        let _ = read_all(&mut storage, recovered.settled);
        let tail = storage.tail;
        storage.settle(tail).unwrap();
        assert!(kept() <= MOST, "start {start}: {}", kept());
        deleted += storage.usage().quarantine_deleted;
        match start % 2 {
            0 => storage.close().unwrap(),
            _ => drop(storage),
        }
    }
    assert!(deleted > 0 && kept() > MOST / 4, "it is full: {}", kept());
    // Killed before it had made room.
    let (copied, name) = (segments(&quarantine)[0].clone(), "00000000000009999999.redb");
    fs::copy(copied, quarantine.join(name)).unwrap();
    fs::copy(quarantine.join(name), quarantine.join("00000000000009999998.redb")).unwrap();
    fs::copy(quarantine.join(name), quarantine.join("00000000000009999997.redb")).unwrap();
    assert!(kept() > MOST, "{}", kept());
    let (storage, _) = Storage::open(&bounded).unwrap();
    assert!(kept() <= MOST, "{}", kept());
    assert!(storage.usage().quarantine_deleted > 0);
}

#[test]
fn a_store_that_is_killed_again_and_again_grows_older_all_the_same() {
    let second = std::time::Duration::from_secs(1);
    let mut folder = tempfile::tempdir().unwrap();
    let (mut storage, _) = Storage::open(&options(folder.path())).unwrap();
    for first in (0..4_000).step_by(500) {
        append(&mut storage, first..first + 500);
    }
    let mut runs = 0;
    while storage.usage().segments > 1 {
        let _ = storage.expire(4_000, 120 * second).unwrap();
        storage.grow_older(15 * second);
        let _ = storage.expire(4_000, 120 * second).unwrap();
        folder = image(folder.path());
        storage = Storage::open(&options(folder.path())).unwrap().0;
        runs += 1;
        assert!(runs < 30, "after {runs} runs of 15 s nothing is older than 120 s");
    }
    assert!(runs >= 8, "{runs}");
}
