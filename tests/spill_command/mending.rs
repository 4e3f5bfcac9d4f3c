//! The commands that change a store: `skip` and `compact`.

use super::*;

#[test]
fn skipped_frames_are_counted_and_the_rest_is_delivered() {
    let folder = store();
    let before = content(&folder);
    let (out, said, code) = spill(&folder, &["skip", "--frames", "12345"]);
    assert_eq!(code, 2);
    assert_says(&out, &["would give up 12345 frames, 1.2 MB, positions 0 to 12345"]);
    assert_says(&said, &["--yes"]);
    assert!(content(&folder) == before, "something in the store has changed");
    for unclear in [&["skip", "--yes"][..], &["skip", "--yes", "--frames", "1", "--to", "1"]] {
        assert_eq!(spill(&folder, unclear).2, 2, "how far must be said once");
    }
    assert!(content(&folder) == before, "something in the store has changed");
    let (out, _, code) = spill(&folder, &["skip", "--frames", "12345", "--yes"]);
    assert_eq!(code, 0);
    assert_says(&out, &["gave up 12345 frames", "delivery begins at position 12345"]);
    // A segment is named after its first position. How many frames are in one depends on how they came.
    let starts = segments(&folder).into_iter().map(|path| {
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap().to_owned();
        name.parse::<u64>().unwrap()
    });
    let done = starts.skip(1).filter(|next| *next <= 12_345).count();
    assert_eq!(done, 0, "segments before the cursor are gone");
    let (out, _, _) = spill(&folder, &["skip", "--to", "20000", "--yes"]);
    assert_says(&out, &["gave up 7655 frames"]);
    let (_, said, code) = spill(&folder, &["skip", "--to", "19999", "--yes"]);
    assert_eq!(code, 2);
    assert_says(&said, &["the cursor stands at 20000", "never goes back"]);
    assert_eq!(spill(&folder, &["verify"]).2, 0);
    let (out, said, code) = spill(&folder, &["export", "--from", "0"]);
    assert_eq!(code, 0, "what was given up is not missing: {said}");
    let kept = numbers(&out);
    assert!(kept.first() <= 20_001 && kept.last() == LAST && kept.gaps().is_empty());
    deliver(&folder, 0).assert_is(20_001, LAST);
}

#[test]
fn a_store_skipped_to_its_end_goes_on_behind_it() {
    let folder = store();
    assert_says(
        &spill(&folder, &["skip", "--to", "99999999", "--yes"]).0,
        &["gave up 30000 frames"],
    );
    assert_says(
        &spill(&folder, &["info"]).0,
        &["cursor at 30000", "nothing waits on disk", "0 segments"],
    );
    assert_says(&spill(&folder, &["list"]).0, &["no segments"]);
    let (program, mut seen) = (run(&folder), Sequence::default());
    Feeder::connect(program.address_of("plant"), MESSAGES).send(LAST + 1..=LAST + 500);
    Destination::connect(program.address_of("network"), MESSAGES).take_through(LAST + 500, &mut seen);
    seen.assert_is(LAST + 1, LAST + 500);
    program.stop();
}

#[test]
fn compacting_deletes_what_a_kill_left_behind_and_old_quarantine() {
    let folder = store();
    assert_says(&spill(&folder, &["compact"]).0, &["nothing to compact"]);
    folder.write("data/00000000000000030000.redb.new", "never finished");
    assert_says(&spill(&folder, &["info"]).0, &["1 unfinished file"]);
    assert_says(&spill(&folder, &["compact"]).0, &["1 unfinished file"]);
    assert_says(&spill(&folder, &["compact"]).0, &["nothing to compact"]);
    flip(&segments(&folder)[0], 5_000);
    deliver(&folder, LOST);
    assert_says(
        &spill(&folder, &["compact", "--quarantine-older-than", "1 day"]).0,
        &["nothing to compact"],
    );
    assert_says(&spill(&folder, &["info"]).0, &["quarantine: 1 damaged segment"]);
    assert_says(
        &spill(&folder, &["compact", "--quarantine-older-than", "0s"]).0,
        &["1 damaged segment of the quarantine"],
    );
    assert_says(&spill(&folder, &["info"]).0, &["quarantine: empty"]);
}
