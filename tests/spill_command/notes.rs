//! What a store has noted about its segments: it is neither damage nor a loss.

use aqueduct::framework::spill::{SpillOptions, Storage};

use super::*;

#[test]
fn what_a_full_store_dropped_on_purpose_is_told_and_is_no_damage() {
    let folder = store();
    let (mut storage, _) = Storage::open(&SpillOptions::new(folder.path("data"))).unwrap();
    // The first one is being delivered.
    let dropped = storage.drop_oldest_segment(1..LAST).unwrap().unwrap();
    storage.close().unwrap();
    let before = content(&folder);
    let line = format!(
        "{} frames at most dropped on purpose when the store was full, positions {} to {}",
        dropped.end - dropped.start,
        dropped.start,
        dropped.end
    );
    let (out, said, code) = spill(&folder, &["verify"]);
    assert_eq!((code, said.as_str()), (0, ""), "{out}");
    assert_says(&out, &[&line, "none is missing"]);
    let (out, said, code) = spill(&folder, &["export"]);
    assert_eq!(code, 0, "{said}");
    assert_says(&said, &[&line]);
    let exported = numbers(&out);
    assert_eq!(exported.gaps(), [(dropped.start + 1, dropped.end)]);
    let from = dropped.start.to_string();
    assert_says(&spill(&folder, &["peek", "--from", &from]).0, &[&line]);
    assert!(content(&folder) == before, "something in the store has changed");
    assert_eq!(deliver(&folder, 0), exported);
}

#[test]
fn what_a_failed_commit_left_in_a_segment_is_not_shown() {
    let folder = store();
    let newest = segments(&folder).pop().unwrap();
    let first: u64 = newest
        .file_stem()
        .and_then(|name| name.to_str())
        .unwrap()
        .parse()
        .unwrap();
    let end = LAST - 1;
    folder.write(&format!("data/{first:020}-{end:020}.sealed"), "");
    // It was killed there.
    fs::remove_file(folder.path("data/run")).unwrap();
    let before = content(&folder);
    assert_says(&spill(&folder, &["info"]).0, &["positions 0 to 29999"]);
    assert!(spill(&folder, &["list"]).0.lines().last().unwrap().contains(" 29999 "));
    let (out, _, code) = spill(&folder, &["verify"]);
    assert_eq!(code, 0, "{out}");
    assert_says(&out, &["29999 frames read, every checksum is right, none is missing"]);
    numbers(&spill(&folder, &["export"]).0).assert_is(1, end);
    assert!(content(&folder) == before, "something in the store has changed");
}

#[test]
fn how_the_last_run_ended_is_told_and_what_is_missing_since() {
    let folder = store();
    let (out, _, _) = spill(&folder, &["info"]);
    assert_says(
        &out,
        &["the last run ended in order; used last by actor drain of pipeline p"],
    );
    assert!(!out.contains("missing at the end"), "{out}");
    let newest = segments(&folder).pop().unwrap();
    let first: u64 = newest.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    fs::remove_file(newest).unwrap();
    let (out, _, code) = spill(&folder, &["info"]);
    let missing = LAST - first;
    assert_eq!(code, 0);
    assert_says(
        &out,
        &[
            &format!("{missing} frames missing at the end"),
            &format!("positions 0 to {LAST}"),
        ],
    );
    let (out, _, code) = spill(&folder, &["verify"]);
    assert_eq!(code, 1, "{out}");
    assert_says(
        &out,
        &[&format!("{missing} frames missing, positions {first} to {LAST}")],
    );
    let program = run(&folder);
    // It listens once its store is open.
    program.address_of("plant");
    let (out, _, _) = spill(&folder, &["info"]);
    assert!(!out.contains("the last run"), "it is in use: {out}");
    program.kill();
    assert_says(&spill(&folder, &["info"]).0, &["the last run did not end in order"]);
}
