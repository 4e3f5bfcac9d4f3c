//! How far streams are survives whatever the frames survive, and the name of a store's own positions never stands for two frames.

use super::*;
use crate::batch::{Position, StreamId};
use crate::spill::{Persist, SpillOptions};

const PLANT: StreamId = StreamId(7);
const OTHER: StreamId = StreamId(u128::MAX);

fn open(path: &Path) -> (Storage, Recovered) {
    let options = SpillOptions {
        persist: Persist::Always,
        ..options(path)
    };
    Storage::open(&options).unwrap()
}

/// A batch of 500 lines at `at`, that stood at `sequence` in its own store.
fn link(storage: &mut Storage, at: u64, stream: StreamId, sequence: u64) {
    let lines: Vec<String> = (at..at + 500).map(line).collect();
    let mut batch = batch_of(at, lines.iter().map(String::as_str));
    batch.position = Some(Position {
        stream,
        first: sequence,
    });
    storage.append(at, &batch).unwrap();
}

/// An open store that has 500 frames of the plant's.
fn planted(path: &Path) -> Storage {
    let (mut storage, _) = open(path);
    link(&mut storage, 0, PLANT, 0);
    storage.commit().unwrap();
    storage
}

fn known(storage: &Storage, stream: StreamId) -> Option<u64> {
    storage.streams().get(stream).map(|mark| mark.sequence)
}

#[test]
fn how_far_a_stream_is_counts_from_the_commit_on() {
    let folder = tempfile::tempdir().unwrap();
    let (mut storage, _) = open(folder.path());
    link(&mut storage, 0, PLANT, 40);
    storage.commit().unwrap();
    link(&mut storage, 500, PLANT, 540);
    assert_eq!(known(&storage, PLANT), Some(540));
    // A kill between append and commit.
    let (storage, recovered) = open(image(folder.path()).path());
    assert_eq!((known(&storage, PLANT), recovered.tail), (Some(540), 500));
}

#[test]
fn every_new_segment_knows_all_streams() {
    let folder = tempfile::tempdir().unwrap();
    let (mut storage, _) = open(folder.path());
    link(&mut storage, 0, OTHER, 0);
    for at in (500..9_000).step_by(500) {
        link(&mut storage, at, PLANT, at);
        storage.commit().unwrap();
    }
    assert!(segments(folder.path()).len() > 2);
    storage.settle(8_000).unwrap();
    let (storage, _) = open(image(folder.path()).path());
    assert_eq!(
        (known(&storage, OTHER), known(&storage, PLANT)),
        (Some(500), Some(9_000))
    );
}

#[test]
fn streams_outlive_the_last_segment_that_knew_them() {
    let folder = tempfile::tempdir().unwrap();
    let storage = planted(folder.path());
    // Not the newest any more after a start, so that it goes when it is settled.
    storage.close().unwrap();
    let (mut storage, _) = open(folder.path());
    storage.settle(500).unwrap();
    assert_eq!(segments(folder.path()).len(), 0);
    for _ in 0..2 {
        let copy = image(folder.path());
        let (mut storage, _) = open(copy.path());
        assert_eq!(known(&storage, PLANT), Some(500));
        // What comes then says it again, and does not need the file.
        link(&mut storage, 500, OTHER, 0);
        storage.commit().unwrap();
        storage.close().unwrap();
        fs::remove_file(copy.path().join("streams")).unwrap();
        assert_eq!(known(&open(copy.path()).0, PLANT), Some(500));
    }
}

#[test]
fn what_is_forgotten_stays_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let mut storage = planted(folder.path());
    storage.streams().forget(PLANT);
    link(&mut storage, 500, OTHER, 0);
    storage.commit().unwrap();
    let (storage, _) = open(image(folder.path()).path());
    assert_eq!((known(&storage, PLANT), known(&storage, OTHER)), (None, Some(500)));
}

#[test]
fn a_damaged_newest_segment_leaves_what_was_known_before() {
    let folder = tempfile::tempdir().unwrap();
    let storage = planted(folder.path());
    storage.close().unwrap();
    let (mut storage, _) = open(folder.path());
    link(&mut storage, 500, PLANT, 500);
    storage.commit().unwrap();
    storage.close().unwrap();
    let newest = segments(folder.path()).pop().unwrap();
    fs::write(&newest, vec![0xA5; 100_000]).unwrap();
    let (storage, _) = open(folder.path());
    assert_eq!(known(&storage, PLANT), Some(500));
}

#[test]
fn its_own_name_stays_until_positions_may_be_given_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (mut storage, _) = open(folder.path());
    let name = storage.stream().unwrap();
    append(&mut storage, 0..500);
    storage.close().unwrap();
    let (storage, _) = open(folder.path());
    assert_eq!(storage.stream(), Some(name), "after a start");
    storage.close().unwrap();
    fs::write(segments(folder.path()).pop().unwrap(), vec![0xA5; 100_000]).unwrap();
    // Nor does the last run say where it ended.
    fs::remove_file(folder.path().join("run")).unwrap();
    let (storage, recovered) = open(folder.path());
    assert_eq!(recovered.tail, 0);
    let new = storage.stream().unwrap();
    assert_ne!(new, name, "the end was lost");
    storage.close().unwrap();
    // All is settled and gone, and so is what said so.
    fs::remove_file(folder.path().join("main.cursor")).unwrap();
    assert_ne!(open(folder.path()).0.stream(), Some(new), "the cursor was lost");
}

#[test]
fn positions_of_a_store_that_is_not_durable_have_no_name() {
    let folder = tempfile::tempdir().unwrap();
    let (storage, _) = Storage::open(&options(folder.path())).unwrap();
    assert_eq!(storage.stream(), None);
}

#[test]
fn a_store_with_streams_is_refused_by_programs_that_would_forget_them() {
    let folder = tempfile::tempdir().unwrap();
    let (mut storage, _) = open(folder.path());
    let format = || fs::read_to_string(folder.path().join("format")).unwrap();
    assert!(format().starts_with("aqueduct-spill 2 "));
    link(&mut storage, 0, PLANT, 0);
    storage.commit().unwrap();
    assert!(format().starts_with("aqueduct-spill 4 "));
}

#[test]
fn who_was_silent_for_longest_is_told_right_when_the_clock_was_set_back() {
    let folder = tempfile::tempdir().unwrap();
    let storage = planted(folder.path());
    // The other came when the clock stood in the future.
    let far = crate::spill::Mark {
        sequence: 9,
        seen_s: 5_000_000_000,
    };
    storage.streams().raise([(OTHER, far)]);
    let text = storage.streams().text();
    storage.close().unwrap();
    fs::write(folder.path().join("streams"), text).unwrap();
    let (mut storage, _) = open(folder.path());
    link(&mut storage, 500, PLANT, 500);
    storage.commit().unwrap();
    let seen_s = |stream| storage.streams().get(stream).unwrap().seen_s;
    assert!(seen_s(PLANT) >= seen_s(OTHER), "the plant came last");
}
