use std::fs;
use std::path::Path;

use super::*;
use crate::spill::testing::{batch_of, text};
use crate::spill::{FORMAT, SpillOptions};

mod ends;
mod read_only;
mod streams;

fn options(path: &Path) -> SpillOptions {
    SpillOptions {
        segment_bytes: 300_000,
        commit_bytes: 100_000,
        ..SpillOptions::new(path)
    }
}

fn line(number: u64) -> String {
    format!("{number:099}")
}

fn append(storage: &mut Storage, range: Range<u64>) {
    for first in range.clone().step_by(500) {
        let lines: Vec<String> = (first..range.end.min(first + 500)).map(line).collect();
        let batch = batch_of(first, lines.iter().map(String::as_str));
        storage.append(first, &batch).unwrap();
    }
    assert_eq!(storage.commit().unwrap(), range.end);
}

fn read_all(storage: &mut Storage, mut from: u64) -> (Vec<String>, u64) {
    let (mut lines, mut unreadable) = (Vec::new(), 0);
    while from < storage.tail {
        let found = storage.read(from, u64::MAX, 50_000).unwrap();
        assert!(found.next > from);
        from = found.next;
        unreadable += found.unreadable;
        lines.extend(found.batches.iter().flat_map(|(_, batch)| text(batch)));
    }
    (lines, unreadable)
}

fn segments(path: &Path) -> Vec<std::path::PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "redb"))
        .collect();
    paths.sort();
    paths
}

/// What a kill at this moment leaves: the files as they are, without the lock.
fn image(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, to.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    to
}

#[test]
fn frames_come_back_in_order_across_segments_and_restarts() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let (mut storage, recovered) = Storage::open(&options(folder.path())).unwrap();
        assert_eq!((recovered.tail, recovered.frames), (round * 9_000, round * 9_000));
        append(&mut storage, round * 9_000..round * 9_000 + 5_000);
        append(&mut storage, round * 9_000 + 5_000..(round + 1) * 9_000);
        assert!(storage.usage().segments > round);
        storage.close().unwrap();
    }
    let (mut storage, _) = Storage::open(&options(folder.path())).unwrap();
    let (lines, unreadable) = read_all(&mut storage, 0);
    assert_eq!(unreadable, 0);
    assert_eq!(lines, (0..27_000).map(line).collect::<Vec<_>>());
    assert_eq!(read_all(&mut storage, 777).0[0], line(777));
}

#[test]
fn a_kill_loses_nothing_that_was_committed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut storage, _) = Storage::open(&options(folder.path())).unwrap();
    append(&mut storage, 0..1_000);
    append(&mut storage, 1_000..2_000);
    storage.append(2_000, &batch_of(2_000, ["not committed"])).unwrap();
    let killed = image(folder.path());
    let (mut storage, recovered) = Storage::open(&options(killed.path())).unwrap();
    assert_eq!(recovered.tail, 2_000);
    append(&mut storage, 2_000..2_500);
    assert_eq!(read_all(&mut storage, 0).0, (0..2_500).map(line).collect::<Vec<_>>());
}

#[test]
fn a_kill_before_the_first_commit_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (mut storage, _) = Storage::open(&options(folder.path())).unwrap();
    storage.append(0, &batch_of(0, ["not committed"])).unwrap();
    let killed = image(folder.path());
    let (storage, recovered) = Storage::open(&options(killed.path())).unwrap();
    let nothing = Recovered {
        killed: true,
        ..Recovered::default()
    };
    assert_eq!((recovered, storage.usage()), (nothing, Usage::default()));
    assert!(!killed.path().join("quarantine").exists());
}

#[test]
fn settled_segments_are_deleted_and_the_cursor_survives() {
    let folder = tempfile::tempdir().unwrap();
    let (mut storage, _) = Storage::open(&options(folder.path())).unwrap();
    for round in 0..4 {
        append(&mut storage, round * 5_000..(round + 1) * 5_000);
    }
    let before = storage.usage();
    storage.settle(12_000).unwrap();
    assert_eq!(storage.usage().segments, before.segments - 2);
    assert!(storage.usage().bytes < before.bytes * 2 / 3);
    storage.settle(11_000).unwrap();
    storage.close().unwrap();
    let (mut storage, recovered) = Storage::open(&options(folder.path())).unwrap();
    assert_eq!((recovered.settled, recovered.frames), (12_000, 8_000));
    assert_eq!(read_all(&mut storage, 12_000).0[0], line(12_000));
    storage.settle(20_000).unwrap();
    assert_eq!((segments(folder.path()).len(), storage.usage().bytes), (0, 0));
    storage.close().unwrap();
    let (_, recovered) = Storage::open(&options(folder.path())).unwrap();
    assert_eq!((recovered.settled, recovered.tail), (20_000, 20_000));
}

#[test]
fn a_settled_newest_segment_gives_its_space_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path());
    options.segment_bytes = 10_000_000;
    let (mut storage, _) = Storage::open(&options).unwrap();
    append(&mut storage, 0..10_000);
    storage.settle(10_000).unwrap();
    assert_eq!(storage.usage().bytes, 0);
    append(&mut storage, 10_000..10_100);
    assert_eq!(read_all(&mut storage, 10_000).0[0], line(10_000));
}

#[test]
fn a_flipped_record_is_set_aside_and_the_rest_is_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let (mut storage, _) = Storage::open(&options(folder.path())).unwrap();
    append(&mut storage, 0..9_000);
    storage.close().unwrap();
    let path = &segments(folder.path())[0];
    let mut bytes = fs::read(path).unwrap();
    let wanted = line(4_000);
    let at = bytes
        .windows(99)
        .position(|window| window == wanted.as_bytes())
        .unwrap();
    bytes[at + 5] ^= 1;
    fs::write(path, bytes).unwrap();
    let (mut storage, _) = Storage::open(&options(folder.path())).unwrap();
    let (lines, unreadable) = read_all(&mut storage, 0);
    assert!(unreadable > 0 && unreadable < 3_000, "{unreadable}");
    assert_eq!(lines.len() as u64 + unreadable, 9_000);
    assert!(lines.is_sorted() && !lines.contains(&wanted) && lines.contains(&line(8_999)));
    assert_eq!(storage.usage().quarantined, unreadable);
    let kept = || fs::read_dir(folder.path().join("quarantine")).unwrap().count();
    assert_eq!(kept(), 1, "a text about it");
    storage.settle(9_000).unwrap();
    assert_eq!(kept(), 2, "the segment and the text about it");
}

#[test]
fn damaged_and_truncated_segments_never_stop_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let (mut storage, _) = Storage::open(&options(folder.path())).unwrap();
    for round in 0..4 {
        append(&mut storage, round * 5_000..(round + 1) * 5_000);
    }
    storage.close().unwrap();
    let whole = segments(folder.path());
    assert_eq!(whole.len(), 4);
    for (index, path) in whole.iter().enumerate() {
        for damage in 0..4 {
            let copy = image(folder.path());
            let victim = copy.path().join(path.file_name().unwrap());
            let mut bytes = fs::read(&victim).unwrap();
            match damage {
                0 => bytes.truncate(100),
                1 => bytes.truncate(200_000),
                2 => bytes.fill(0xa5),
                _ => bytes[..16_384].fill(0x5a),
            }
            fs::write(&victim, bytes).unwrap();
            let (mut storage, _) = Storage::open(&options(copy.path())).unwrap();
            let (lines, unreadable) = read_all(&mut storage, 0);
            assert!(lines.is_sorted());
            assert!(
                lines.len() >= 15_000,
                "segment {index}, damage {damage}: {}",
                lines.len()
            );
            assert!(index == 3 || lines.len() as u64 + unreadable == 20_000);
        }
    }
}

#[test]
fn a_second_user_is_told_who_holds_the_directory() {
    let folder = tempfile::tempdir().unwrap();
    let first = Storage::open(&options(folder.path())).unwrap();
    let error = Storage::open(&options(folder.path())).unwrap_err().to_string();
    assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
    drop(first);
    Storage::open(&options(folder.path())).unwrap();
}

#[test]
fn a_newer_format_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("format"), format!("aqueduct-spill {}\n", FORMAT + 1)).unwrap();
    let error = Storage::open(&options(folder.path())).unwrap_err();
    assert!(matches!(error, SpillError::Newer { .. }), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn the_oldest_segment_with_nothing_in_flight_can_be_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let (mut storage, _) = Storage::open(&options(folder.path())).unwrap();
    for round in 0..3 {
        append(&mut storage, round * 5_000..(round + 1) * 5_000);
    }
    assert_eq!(storage.drop_oldest_segment(100..20_000).unwrap(), Some(5_000..10_000));
    assert_eq!(storage.drop_oldest_segment(100..9_000).unwrap(), None);
    let (lines, unreadable) = read_all(&mut storage, 0);
    assert_eq!((lines.len(), unreadable), (10_000, 0));
}

#[test]
fn what_was_settled_before_a_dropped_segment_was_written_is_not_missing() {
    for (in_flight, left) in [(0..0, 5_000), (0..5_000, 10_000)] {
        let folder = tempfile::tempdir().unwrap();
        let (mut storage, _) = Storage::open(&options(folder.path())).unwrap();
        for written in [in_flight.clone(), 6_000..11_000, 11_000..16_000] {
            append(&mut storage, written);
        }
        let dropped = storage.drop_oldest_segment(in_flight.end..20_000).unwrap();
        assert_eq!(dropped, Some(6_000..11_000));
        let (lines, unreadable) = read_all(&mut storage, 0);
        assert_eq!((lines.len(), unreadable, storage.usage().damaged), (left, 0, 0));
        storage.close().unwrap();
        let (mut storage, recovered) = Storage::open(&options(folder.path())).unwrap();
        let (lines, unreadable) = read_all(&mut storage, recovered.settled);
        assert_eq!((lines.len(), unreadable, storage.usage().damaged), (left, 0, 0));
    }
}

#[test]
fn what_is_missing_before_a_dropped_segment_counts_as_lost_and_what_was_dropped_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let (mut storage, _) = Storage::open(&options(folder.path())).unwrap();
    for round in 0..3 {
        append(&mut storage, round * 5_000..(round + 1) * 5_000);
    }
    storage.close().unwrap();
    fs::remove_file(&segments(folder.path())[0]).unwrap();
    let (mut storage, recovered) = Storage::open(&options(folder.path())).unwrap();
    assert_eq!((recovered.settled, recovered.tail), (0, 15_000));
    assert_eq!(storage.drop_oldest_segment(0..20_000).unwrap(), Some(5_000..10_000));
    let (lines, unreadable) = read_all(&mut storage, 0);
    assert_eq!((lines.len(), unreadable), (5_000, 5_000));
}

#[test]
fn both_slots_of_the_cursor_damaged_only_repeats() {
    let folder = tempfile::tempdir().unwrap();
    let (mut storage, _) = Storage::open(&options(folder.path())).unwrap();
    append(&mut storage, 0..1_000);
    storage.settle(600).unwrap();
    storage.close().unwrap();
    fs::write(folder.path().join("main.cursor"), [7; 5_000]).unwrap();
    let (_, recovered) = Storage::open(&options(folder.path())).unwrap();
    assert_eq!((recovered.settled, recovered.tail), (0, 1_000));
}

#[test]
fn a_peek_finds_the_record_of_a_position_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut storage, _) = Storage::open(&options(folder.path())).unwrap();
    for first in (0..12_000).step_by(1_000) {
        append(&mut storage, first..first + 1_000);
    }
    let all = segments(folder.path());
    assert!(all.len() > 2, "closed segments and the one that is written");
    std::fs::write(&all[1], "no database").unwrap();
    let damaged: u64 = all[1].file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let damaged = damaged..all[2].file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let (before, mut glass) = (storage.usage(), Glass::default());
    for at in (0..12_000).step_by(77) {
        let peeked = storage.peek(at, &mut glass);
        assert_eq!(peeked.damaged, damaged.contains(&at), "{at}");
        let lines = peeked
            .batches
            .iter()
            .flat_map(|(first, batch)| (*first..).zip(text(batch)));
        let found: Vec<_> = lines
            .filter(|(position, _)| *position == at)
            .map(|(_, text)| text)
            .collect();
        assert_eq!(found, if peeked.damaged { vec![] } else { vec![line(at)] }, "{at}");
        assert!(peeked.next > at && peeked.next <= 12_000);
    }
    assert_eq!(storage.peek(12_000, &mut glass).batches.len(), 0);
    glass.close();
    assert_eq!(storage.usage(), before);
    assert_eq!(
        segments(folder.path()),
        all,
        "what is damaged is left for the read that delivers it"
    );
}

#[test]
fn a_segment_without_its_structure_gives_all_its_frames_and_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let (mut storage, _) = Storage::open(&options(folder.path())).unwrap();
    append(&mut storage, 0..9_000);
    storage.close().unwrap();
    let whole = segments(folder.path());
    for path in &whole {
        let mut bytes = fs::read(path).unwrap();
        bytes[..4_096].fill(0x5a);
        fs::write(path, bytes).unwrap();
    }
    let (mut storage, recovered) = Storage::open(&options(folder.path())).unwrap();
    assert_eq!(recovered.tail, 9_000);
    assert_eq!(read_all(&mut storage, 0), ((0..9_000).map(line).collect(), 0));
    assert_eq!(storage.usage().damaged, whole.len() as u64);
    let name = whole[0].file_name().unwrap().to_str().unwrap();
    let entry = fs::read_to_string(folder.path().join(format!("quarantine/{name}.txt"))).unwrap();
    assert!(
        entry.contains("frames lost: 0") && entry.contains("reason: cannot open"),
        "{entry}"
    );
}

#[test]
fn looking_for_a_message_does_not_get_in_the_way_of_reading_what_a_kill_left() {
    let folder = tempfile::tempdir().unwrap();
    let (mut storage, _) = Storage::open(&options(folder.path())).unwrap();
    for first in (0..9_000).step_by(1_000) {
        append(&mut storage, first..first + 1_000);
    }
    let killed = image(folder.path());
    let (mut storage, found) = Storage::open(&options(killed.path())).unwrap();
    assert_eq!(found.tail, 9_000);
    let (mut glass, mut from, mut lines) = (Glass::default(), 0, Vec::new());
    while from < 9_000 {
        for at in [8_999, from, 8_999 - from] {
            assert!(!storage.peek(at, &mut glass).batches.is_empty());
        }
        let found = storage.read(from, u64::MAX, 50_000).unwrap();
        assert_eq!(found.unreadable, 0);
        lines.extend(found.batches.iter().flat_map(|(_, batch)| text(batch)));
        from = found.next;
    }
    assert_eq!(lines, (0..9_000).map(line).collect::<Vec<_>>());
    assert_eq!(storage.usage().quarantined, 0);
}

#[test]
fn the_quarantine_keeps_to_its_bound_and_counts_what_it_deletes() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path());
    options.quarantine_bytes = 2_500_000;
    let (mut storage, _) = Storage::open(&options).unwrap();
    for round in 0..6 {
        append(&mut storage, round * 5_000..(round + 1) * 5_000);
    }
    storage.close().unwrap();
    for path in segments(folder.path()) {
        let mut bytes = fs::read(&path).unwrap();
        bytes[..4_096].fill(0);
        fs::write(&path, bytes).unwrap();
    }
    let (mut storage, _) = Storage::open(&options).unwrap();
    assert_eq!(read_all(&mut storage, 0).0.len(), 30_000);
    storage.settle(30_000).unwrap();
    let kept = segments(&folder.path().join("quarantine"));
    let bytes: u64 = kept.iter().map(|path| allocated(path)).sum();
    assert!(
        bytes <= 2_500_000 && kept.len() == 2,
        "{bytes} bytes in {} files",
        kept.len()
    );
    assert_eq!(
        storage.usage().quarantine_deleted + kept.len() as u64,
        storage.usage().damaged
    );
    assert_eq!(storage.usage().segments, 0);
}

#[test]
fn a_changed_byte_in_the_format_file_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut storage, _) = Storage::open(&options(folder.path())).unwrap();
    append(&mut storage, 0..100);
    storage.close().unwrap();
    let path = folder.path().join("format");
    let written = fs::read(&path).unwrap();
    for at in 0..written.len() - 1 {
        let mut bytes = written.clone();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        let (storage, recovered) = Storage::open(&options(folder.path())).unwrap();
        assert_eq!(recovered.frames, 100, "byte {at}");
        storage.close().unwrap();
        assert_eq!(fs::read(&path).unwrap(), written, "byte {at}");
    }
}

fn allocated(path: &Path) -> u64 {
    aqueduct_sys::file::allocated_bytes(path).unwrap()
}
