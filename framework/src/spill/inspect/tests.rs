use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::*;
use crate::spill::testing::{batch_of, text};
use crate::spill::{SpillOptions, Storage};

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

/// A store of 9,000 lines in several segments, of which the first 500 are settled.
fn store(path: &Path) -> Storage {
    let (mut storage, _) = Storage::open(&options(path)).unwrap();
    for first in (0..9_000).step_by(500) {
        let lines: Vec<String> = (first..first + 500).map(line).collect();
        storage
            .append(first, &batch_of(first, lines.iter().map(String::as_str)))
            .unwrap();
        storage.commit().unwrap();
    }
    storage.settle(500).unwrap();
    storage
}

/// Every file with its content, and nothing else.
fn content(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let mut content: Vec<_> = entries.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    content.sort();
    content
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Walked {
    lines: Vec<String>,
    damaged: Vec<u64>,
    missing: Vec<Range<u64>>,
    dropped: Vec<Range<u64>>,
}

fn walk(found: &Inspection, from: u64) -> Walked {
    let mut walked = Walked::default();
    for sight in found.walk(from) {
        match sight.unwrap() {
            Sight::Record { batches, .. } => walked.lines.extend(batches.iter().flat_map(|(_, batch)| text(batch))),
            Sight::Damaged { segment, .. } => walked.damaged.push(segment),
            Sight::Missing { positions, .. } => walked.missing.push(positions),
            Sight::Dropped { positions } => walked.dropped.push(positions),
            Sight::Gone { segment } => panic!("{segment} is gone"),
        }
    }
    walked
}

#[test]
fn a_store_at_rest_is_seen_whole_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path()).close().unwrap();
    let before = content(folder.path());
    let found = Inspection::of(folder.path()).unwrap();
    assert_eq!((found.settled, found.tail().unwrap(), found.start()), (500, 9_000, 0));
    assert_eq!(
        (found.holder.clone(), found.cursor_whole, found.format),
        (None, true, Some(crate::spill::FIRST_FORMAT))
    );
    assert!(found.segments.len() > 2);
    let all = Walked {
        lines: (0..9_000).map(line).collect(),
        ..Walked::default()
    };
    assert_eq!(walk(&found, 0), all);
    assert_eq!(walk(&found, 4_321).lines[0], line(4_321));
    assert_eq!(content(folder.path()), before);
}

#[test]
fn of_a_store_in_use_everything_that_is_on_disk_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let storage = store(folder.path());
    let found = Inspection::of(folder.path()).unwrap();
    assert_eq!(
        found.holder,
        Some(Holder {
            process: Some(std::process::id())
        })
    );
    let written: Vec<_> = found.segments.iter().map(|segment| segment.written).collect();
    assert_eq!(written.iter().filter(|written| **written).count(), 1);
    assert_eq!(written.last(), Some(&true));
    assert_eq!(found.tail().unwrap(), 9_000);
    let walked = walk(&found, 0);
    assert_eq!(
        (walked.lines.len(), walked.damaged, walked.missing),
        (9_000, vec![], vec![])
    );
    storage.close().unwrap();
}

#[test]
fn damage_is_named_and_what_is_whole_comes_out() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path()).close().unwrap();
    let found = Inspection::of(folder.path()).unwrap();
    let second = &found.segments[1];
    let mut bytes = fs::read(&second.path).unwrap();
    let number = line(second.first + 100);
    let at = memchr::memmem::find(&bytes, number.as_bytes()).unwrap();
    bytes[at + 50] ^= 1;
    fs::write(&second.path, bytes).unwrap();
    let before = content(folder.path());
    let walked = walk(&found, 0);
    assert_eq!(walked.damaged, [second.first]);
    let [missing] = &walked.missing[..] else {
        panic!("one range: {:?}", walked.missing)
    };
    assert!(missing.contains(&(second.first + 100)));
    let whole = (0..9_000).filter(|position| !missing.contains(position)).map(line);
    assert_eq!(walked.lines, whole.collect::<Vec<_>>());
    assert_eq!(content(folder.path()), before);
}

#[test]
fn whichever_byte_is_changed_what_is_shown_is_right_and_the_rest_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path()).close().unwrap();
    let path = Inspection::of(folder.path()).unwrap().segments[1].path.clone();
    let whole = fs::read(&path).unwrap();
    // Dense where the engine keeps its own structure, then across all records.
    let offsets = (0..512).step_by(7).chain((512..whole.len()).step_by(9_973));
    let mut found_damaged = 0;
    for at in offsets {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        fs::write(&path, bytes).unwrap();
        let walked = walk(&Inspection::of(folder.path()).unwrap(), 0);
        let missing = |position: &u64| walked.missing.iter().any(|range| range.contains(position));
        let shown = (0..9_000).filter(|position| !missing(position)).map(line);
        assert!(
            shown.eq(walked.lines.iter().cloned()),
            "byte {at}: {:?}",
            walked.missing
        );
        found_damaged += walked.damaged.len();
    }
    assert!(found_damaged > 10, "{found_damaged} of the changes were noticed");
}

#[test]
fn a_segment_that_somebody_deleted_is_missed() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path()).close().unwrap();
    let found = Inspection::of(folder.path()).unwrap();
    let gone = found.segments[1].first..found.segments[2].first;
    fs::remove_file(&found.segments[1].path).unwrap();
    let found = Inspection::of(folder.path()).unwrap();
    let walked = walk(&found, 0);
    assert_eq!((walked.damaged, walked.missing), (vec![], vec![gone]));
}

#[test]
fn what_was_settled_and_deleted_is_not_missed() {
    let folder = tempfile::tempdir().unwrap();
    let mut storage = store(folder.path());
    storage.settle(8_000).unwrap();
    storage.close().unwrap();
    let found = Inspection::of(folder.path()).unwrap();
    assert!(found.start() > 0, "no segment is gone");
    let walked = walk(&found, 0);
    assert_eq!((walked.damaged, walked.missing), (vec![], vec![]));
    assert_eq!(walked.lines, (found.start()..9_000).map(line).collect::<Vec<_>>());
}

#[test]
fn what_was_dropped_on_purpose_is_not_missed() {
    let folder = tempfile::tempdir().unwrap();
    let mut storage = store(folder.path());
    let middle = storage.drop_oldest_segment(1..9_000).unwrap().unwrap();
    storage.close().unwrap();
    let found = Inspection::of(folder.path()).unwrap();
    let whole = Walked {
        lines: (0..9_000).filter(|at| !middle.contains(at)).map(line).collect(),
        dropped: vec![middle.clone()],
        ..Walked::default()
    };
    assert_eq!(walk(&found, 0), whole);
    let inside = found.walk(middle.start + 7).to(middle.start + 9).next();
    let inside_is =
        matches!(inside, Some(Ok(Sight::Dropped { positions })) if positions == (middle.start + 7..middle.start + 9));
    assert!(inside_is);
    // A segment that somebody deleted right behind it is missed all the same.
    let behind = found.segments.iter().position(|segment| segment.first == middle.end);
    let behind = behind.unwrap();
    let deleted = middle.end..found.segments[behind + 1].first;
    fs::remove_file(&found.segments[behind].path).unwrap();
    let walked = walk(&Inspection::of(folder.path()).unwrap(), 0);
    assert_eq!((walked.missing, walked.dropped), (vec![deleted], vec![middle]));
}

#[test]
fn what_was_dropped_behind_the_last_segment_is_told() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path()).close().unwrap();
    // A segment that is written is not dropped: after a start none is.
    let (mut storage, _) = Storage::open(&options(folder.path())).unwrap();
    let mut dropped = Vec::new();
    while let Some(range) = storage.drop_oldest_segment(1..9_000).unwrap() {
        dropped.push(range);
    }
    storage.close().unwrap();
    assert!(dropped.len() > 1);
    let found = Inspection::of(folder.path()).unwrap();
    assert_eq!((found.segments.len(), found.tail().unwrap()), (1, 9_000));
    let walked = walk(&found, 0);
    assert_eq!((walked.missing, walked.dropped), (vec![], dropped));
}

/// What a failed commit leaves: the segment holds 500 lines more than were confirmed.
fn seal(segment: u64, end: u64, path: &Path) {
    fs::write(path.join(format!("{segment:020}-{end:020}.sealed")), "").unwrap();
}

#[test]
fn what_stands_behind_the_end_of_a_sealed_segment_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path()).close().unwrap();
    let newest = Inspection::of(folder.path()).unwrap().segments.pop().unwrap();
    seal(newest.first, 8_500, folder.path());
    // The run that closed it in order did not have that failure.
    fs::remove_file(folder.path().join("run")).unwrap();
    let found = Inspection::of(folder.path()).unwrap();
    let believed = |to: u64| Walked {
        lines: (0..to).map(line).collect(),
        ..Walked::default()
    };
    assert_eq!(
        (found.tail().unwrap(), found.outline(&newest).unwrap().tail),
        (8_500, Some(8_500))
    );
    assert_eq!(walk(&found, 0), believed(8_500));
    // A start says the same; what it writes then stands behind that end.
    let (mut storage, recovered) = Storage::open(&options(folder.path())).unwrap();
    assert_eq!(recovered.tail, 8_500);
    let found = Inspection::of(folder.path()).unwrap();
    assert_eq!((found.tail().unwrap(), walk(&found, 0)), (8_500, believed(8_500)));
    let lines: Vec<String> = (8_500..8_700).map(line).collect();
    storage
        .append(8_500, &batch_of(8_500, lines.iter().map(String::as_str)))
        .unwrap();
    storage.commit().unwrap();
    storage.close().unwrap();
    let found = Inspection::of(folder.path()).unwrap();
    assert_eq!((found.tail().unwrap(), walk(&found, 0)), (8_700, believed(8_700)));
}

#[test]
fn a_sealed_segment_without_its_last_commit_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path()).close().unwrap();
    let newest = Inspection::of(folder.path()).unwrap().segments.pop().unwrap();
    seal(newest.first, 9_200, folder.path());
    let walked = walk(&Inspection::of(folder.path()).unwrap(), 0);
    assert_eq!((walked.damaged, walked.lines.len()), (vec![newest.first], 9_000));
    assert_eq!(walked.missing, vec![9_000..9_200]);
}

#[test]
fn a_copy_of_a_segment_under_another_number_hides_nothing_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    store(folder.path()).close().unwrap();
    let whole = Inspection::of(folder.path()).unwrap();
    assert_eq!(whole.strays, []);
    let second = whole.segments[1].first;
    // Inside the first one, inside the second, and behind the newest.
    for (number, copied) in [(7, 1), (second + 7, 0), (99_999, 0)] {
        let path = folder.path().join(format!("{number:020}.redb"));
        fs::copy(&whole.segments[copied].path, &path).unwrap();
        let found = Inspection::of(folder.path()).unwrap();
        let stray = Stray {
            path: path.clone(),
            position: whole.segments[copied].first,
        };
        assert_eq!(found.strays, [stray]);
        assert_eq!(found.segments, whole.segments);
        assert_eq!((found.tail().unwrap(), walk(&found, 0)), (9_000, walk(&whole, 0)));
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn what_is_no_store_is_not_taken_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let says = |path: &Path| Inspection::of(path).unwrap_err().to_string();
    assert!(says(folder.path()).contains("it is empty"));
    assert!(says(&folder.path().join("none")).contains("there is no such folder"));
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(says(&file).contains("it is a file"));
    assert!(says(folder.path()).contains("it holds other files"));
}
