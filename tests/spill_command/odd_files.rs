//! Files that are not where they should be, or should not be there.

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;

/// Something stands in the place of a segment, the newest or another: it is told, set aside, and the rest is delivered.
fn is_set_aside(put: impl Fn(&Path), what: &str) {
    for newest in [false, true] {
        let folder = store();
        let all = segments(&folder);
        let place = if newest { &all[all.len() - 1] } else { &all[1] };
        fs::remove_file(place).unwrap();
        put(place);
        assert_says(&spill(&folder, &["list"]).0, &["damaged: ", what]);
        assert_says(&spill(&folder, &["info"]).0, &["damage: 1 segment cannot be read"]);
        assert_says(&spill(&folder, &["verify"]).0, &["damaged: ", "1 damaged segment"]);
        let program = run(&folder);
        Feeder::connect(program.address_of("plant"), MESSAGES).send(LAST + 1..=LAST + 500);
        let mut seen = Sequence::default();
        Destination::connect(program.address_of("network"), MESSAGES).take_through(LAST + 500, &mut seen);
        assert_eq!((seen.first(), seen.gaps().len()), (1, 1));
        program.wait_for("it is set aside", |_| !place.exists() || place.is_file());
        assert!(folder.path("data/quarantine").join(place.file_name().unwrap()).exists());
    }
}

#[test]
fn a_folder_in_the_place_of_a_segment_is_set_aside_and_the_rest_is_delivered() {
    is_set_aside(|place| fs::create_dir(place).unwrap(), "Is a directory");
}

#[test]
fn what_is_no_file_in_the_place_of_a_segment_hangs_nothing_and_is_set_aside() {
    let pipe = |place: &Path| mknodat(CWD, place, FileType::Fifo, Mode::RWXU, 0).unwrap();
    is_set_aside(pipe, "it is a named pipe");
}

#[test]
fn a_socket_or_a_device_in_the_place_of_a_file_is_set_aside_and_the_store_starts() {
    for device in [false, true] {
        let folder = store();
        let cursor = folder.path("data/main.cursor");
        fs::remove_file(&cursor).unwrap();
        let _socket = if device {
            std::os::unix::fs::symlink("/dev/zero", &cursor).unwrap();
            None
        } else {
            Some(std::os::unix::net::UnixListener::bind(&cursor).unwrap())
        };
        let (program, mut seen) = (run(&folder), Sequence::default());
        program.log.first(&["main.cursor", "foreign1"]);
        Destination::connect(program.address_of("network"), MESSAGES).take_through(LAST, &mut seen);
        seen.assert_is(1, LAST);
        program.stop();
    }
}

#[test]
fn an_unknown_number_of_frames_lost_with_the_newest_segment_is_told_and_ends_with_3() {
    let folder = Folder::new();
    let program = run(&folder);
    fill(&program, LAST);
    program.kill();
    let all = segments(&folder);
    let newest = &all[all.len() - 1];
    fs::write(newest, "").unwrap();
    let name = newest.file_stem().unwrap().to_str().unwrap();
    let before = name.parse().unwrap();
    let (mut program, mut seen) = (run(&folder), Sequence::default());
    Destination::connect(program.address_of("network"), MESSAGES).take_through(before, &mut seen);
    seen.assert_is(1, before);
    program
        .log
        .first(&["an unknown number of frames is lost", "newest segment", "quarantine"]);
    let status = folder.aqueduct(&["status", "p"]).stdout;
    assert_says(
        &String::from_utf8(status).unwrap(),
        &["an unknown number lost with its damaged end"],
    );
    program.wait_for("all is settled", |status| status.number("drain", "waiting_frames") == 0);
    program.terminate();
    assert_eq!(program.exit_code(), LOST);
    program
        .log
        .first(&["ended", "an unknown number of frames is lost", "lost=0"]);
    // It is set aside and told: the next run has nothing to do with it.
    let mut program = run(&folder);
    program.address_of("network");
    program.terminate();
    assert_eq!(program.exit_code(), 0);
}

#[test]
fn a_quarantine_that_is_no_folder_stops_nothing_and_is_told() {
    let folder = store();
    folder.write("data/quarantine", "dear");
    let damaged = segments(&folder)[1].clone();
    flip(&damaged, 15_000);
    for look in [&["info"][..], &["list"]] {
        assert_eq!(spill(&folder, look).2, 0, "{look:?}");
    }
    let exported = numbers(&spill(&folder, &["export"]).0);
    let (mut program, mut seen) = (run(&folder), Sequence::default());
    Destination::connect(program.address_of("network"), MESSAGES).take_through(LAST, &mut seen);
    assert_eq!(seen, exported);
    program.wait_for("it is set aside", |_| !damaged.exists());
    let status = folder.aqueduct(&["status", "p"]).stdout;
    assert_says(&String::from_utf8(status).unwrap(), &["its quarantine cannot be used"]);
    program.log.first(&[
        "nothing can be put into",
        "data/quarantine",
        ".redb.damaged",
        "make it a folder",
    ]);
    program.terminate();
    assert_eq!(program.exit_code(), LOST);
    let name = format!("{}.damaged", name(&damaged));
    assert!(folder.path("data").join(&name).is_file());
    assert_says(&spill(&folder, &["info"]).0, &["quarantine: 1 damaged segment", &name]);
    assert_eq!(folder.read("data/quarantine"), "dear");
}

#[test]
fn files_that_no_store_names_are_left_alone() {
    let folder = store();
    // The first would be a segment that begins at position 7 if its name had all its digits.
    let foreign = [
        "7.redb",
        "+0000000000000000007.redb",
        "notes.redb",
        "mine.redb.new",
        "letter.txt",
    ];
    for name in foreign {
        folder.write(&format!("data/{name}"), "dear");
    }
    assert_eq!(spill(&folder, &["verify"]).2, 0);
    deliver(&folder, 0).assert_is(1, LAST);
    for name in foreign {
        assert_eq!(folder.read(&format!("data/{name}")), "dear", "{name}");
    }
}

#[test]
fn a_segment_deleted_under_a_running_store_is_counted_and_the_rest_is_delivered() {
    let (folder, mut seen) = (Folder::new(), Sequence::default());
    // So little memory that the segments in the middle are nowhere but on disk.
    let mut program = folder.run_pipeline(
        r#"
        name = "p"
        flow = ["plant -> drain -> network"]
        sources.plant = { type = "tcp_server", listen = "127.0.0.1:0" }
        sinks.network = { type = "tcp_server", listen = "127.0.0.1:0", window_bytes = "64 KiB" }
        [spills.drain]
        directory = "data"
        persist = "always"
        segment_bytes = "1 MiB"
        commit_bytes = "256 KiB"
        memory_bytes = "64 KiB"
        read_ahead_bytes = "64 KiB"
        in_flight_bytes = "64 KiB"
        "#,
    );
    fill(&program, LAST);
    let gone = &segments(&folder)[1];
    fs::remove_file(gone).unwrap();
    Destination::connect(program.address_of("network"), MESSAGES).take_through(LAST, &mut seen);
    assert_eq!((seen.first(), seen.gaps().len()), (1, 1));
    program.terminate();
    assert_eq!(program.exit_code(), LOST);
}

#[test]
fn a_store_whose_directory_was_deleted_acknowledges_nothing_more_and_says_so() {
    let folder = Folder::new();
    let program = run(&folder);
    // Less than a segment, so that its file is still being written when its name has gone.
    fill(&program, 100);
    fs::remove_dir_all(folder.path("data")).unwrap();
    Feeder::connect(program.address_of("plant"), MESSAGES).send(101..=200);
    let status = program.wait_for("it says that it cannot write", |status| {
        let state = &status.actor("drain").meters.texts["state"];
        state.contains("its disk fails; nothing is acknowledged") && state.contains("No such file or directory")
    });
    assert_eq!(status.number("plant", "settled"), 100);
    assert!(!folder.path("data").exists(), "nobody holds a lock on it any more");
}

#[test]
fn frames_whose_store_was_deleted_are_not_called_kept_but_lost() {
    let folder = Folder::new();
    let mut program = run(&folder);
    fill(&program, LAST);
    fs::remove_dir_all(folder.path("data")).unwrap();
    program.wait_for("it is seen", |status| status.number("drain", "deleted_frames") > 0);
    let status = folder.aqueduct(&["status", "p"]).stdout;
    let status = String::from_utf8(status).unwrap();
    assert_says(&status, &["its files were deleted"]);
    assert!(!status.contains("waits in the spill store"), "{status}");
    program.log.first(&["were deleted while it is in use", "data"]);
    program.terminate();
    assert_eq!(program.exit_code(), LOST);
    program
        .log
        .first(&["ended", &format!("lost={LAST}"), "kept_in_stores=0"]);
}

#[test]
fn a_copy_of_a_segment_under_another_number_hides_nothing_and_is_set_aside() {
    // Inside the first one, inside the second, and behind the newest.
    for number in [7, 12_345, 99_999] {
        let folder = store();
        let foreign = folder.path(&format!("data/{number:020}.redb"));
        let copied = if number == 7 { 1 } else { 0 };
        fs::copy(&segments(&folder)[copied], &foreign).unwrap();
        let line = format!("{}  no segment of this store: ", name(&foreign));
        for (look, told) in [
            ("list", "waits"),
            ("info", "30000 frames wait"),
            ("verify", "none is missing"),
        ] {
            let (out, _, code) = spill(&folder, &[look]);
            assert_eq!(code, 0, "{look}: {out}");
            assert_says(&out, &[&line, told]);
            assert!(!out.contains("damage"), "{out}");
        }
        let (out, said, code) = spill(&folder, &["export"]);
        assert_eq!(code, 0, "{said}");
        assert_says(&said, &[&line]);
        numbers(&out).assert_is(1, LAST);
        let mut program = run(&folder);
        let mut seen = Sequence::default();
        Destination::connect(program.address_of("network"), MESSAGES).take_through(LAST, &mut seen);
        seen.assert_is(1, LAST);
        program.wait_for("all is settled", |status| status.number("drain", "waiting_frames") == 0);
        assert!(!foreign.exists());
        program.terminate();
        assert_eq!(program.exit_code(), 0, "{number}");
        assert_says(
            &spill(&folder, &["info"]).0,
            &[
                "quarantine: 1 damaged segment",
                name(&foreign),
                "0 frames lost",
                "no segment of this store",
            ],
        );
    }
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}
