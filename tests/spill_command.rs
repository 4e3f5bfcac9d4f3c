//! `aqueduct spill`: on stores at rest, in use, damaged, old, and on folders that are none.

mod mending;
mod notes;
mod odd_files;
mod replaying;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::harness::{Destination, Feeder, Folder, Messages, Program, Sequence};

const MESSAGES: Messages = Messages::SHORT;
const LAST: u64 = 30_000;
/// Exit code: frames were lost.
const LOST: i32 = 3;

/// Nobody ever comes to the sink unless a test does, so all of it waits on disk, in segments of about 10,000 messages.
fn run(folder: &Folder) -> Program {
    folder.run_pipeline(
        r#"
        name = "p"
        flow = ["plant -> drain -> network"]
        sources.plant = { type = "tcp_server", listen = "127.0.0.1:0" }
        spills.drain = { directory = "data", persist = "always", segment_bytes = "1 MiB", commit_bytes = "256 KiB" }
        sinks.network = { type = "tcp_server", listen = "127.0.0.1:0", window_bytes = "64 KiB" }
        "#,
    )
}

fn fill(program: &Program, last: u64) {
    Feeder::connect(program.address_of("plant"), MESSAGES).send(1..=last);
    program.wait_for("all is on disk", |status| status.number("plant", "settled") == last);
}

/// A folder with the store `data`, in which messages 1 to [`LAST`] wait at positions 0 to `LAST - 1`.
fn store() -> Folder {
    let folder = Folder::new();
    let program = run(&folder);
    fill(&program, LAST);
    program.stop();
    folder
}

/// Takes everything from the sink until message [`LAST`] has come; the pipeline then ends with this code.
fn deliver(folder: &Folder, code: i32) -> Sequence {
    let (mut program, mut seen) = (run(folder), Sequence::default());
    Destination::connect(program.address_of("network"), MESSAGES).take_through(LAST, &mut seen);
    program.terminate();
    assert_eq!(program.exit_code(), code);
    seen
}

/// Standard output, standard error and exit code of `aqueduct spill data ...`.
fn spill(folder: &Folder, arguments: &[&str]) -> (String, String, i32) {
    let output = folder.aqueduct(&[&["spill", "data"], arguments].concat());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let code = output.status.code().expect("no signal ended it");
    (text(output.stdout), text(output.stderr), code)
}

fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}

/// Every file below the folder `data` with its content.
fn content(folder: &Folder) -> Vec<(PathBuf, Vec<u8>)> {
    fn add(path: &Path, content: &mut Vec<(PathBuf, Vec<u8>)>) {
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                content.push((path.clone(), Vec::new()));
                add(&path, content);
            } else {
                content.push((path.clone(), fs::read(&path).unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    add(&folder.path("data"), &mut found);
    found.sort();
    found
}

fn segments(folder: &Folder) -> Vec<PathBuf> {
    let paths = content(folder).into_iter().map(|(path, _)| path);
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "redb"))
        .collect()
}

/// Changes a bit in the middle of a message on disk.
fn flip(path: &Path, message: u64) {
    let mut bytes = fs::read(path).unwrap();
    let line = MESSAGES.line(message);
    let at = bytes
        .windows(line.len())
        .position(|window| window == line)
        .expect("it is there");
    bytes[at + 50] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// The numbers of exported messages, each checked byte for byte.
fn numbers(exported: &str) -> Sequence {
    Sequence::of(exported.lines().map(|line| MESSAGES.number(line.as_bytes())))
}

const LOOKS: [&[&str]; 6] = [
    &[],
    &["info"],
    &["list"],
    &["peek"],
    &["verify"],
    &["export", "--framing", "json"],
];

#[test]
fn a_store_at_rest_is_told_in_words_and_left_as_it_is() {
    let folder = store();
    let before = content(&folder);
    for look in LOOKS {
        assert_eq!(spill(&folder, look).2, 0, "{look:?}");
    }
    let (info, _, _) = spill(&folder, &["info"]);
    assert_says(
        &info,
        &[
            "format 2",
            "not in use",
            "cursor at 0",
            "30000 frames wait on disk",
            "positions 0 to 30000",
            "quarantine: empty",
        ],
    );
    let (list, _, _) = spill(&folder, &["list"]);
    assert_eq!(list.lines().count(), 1 + segments(&folder).len(), "{list}");
    assert!(list.lines().last().unwrap().contains(" 30000 "), "{list}");
    let (peek, _, _) = spill(&folder, &["peek", "--count", "2", "--from", "12345"]);
    assert_says(
        &peek,
        &[
            "12345  plant:12345  received ",
            "99 B",
            "peer.address=\"127.0.0.1:",
            "\"0000012346 ",
            "12346  plant:12346",
        ],
    );
    assert_eq!(peek.lines().count(), 4, "{peek}");
    assert_says(&spill(&folder, &["peek", "--from", "30000"]).0, &["no frames there"]);
    assert_says(
        &spill(&folder, &["verify"]).0,
        &["30000 frames read, every checksum is right, none is missing"],
    );
    assert!(content(&folder) == before, "something in the store has changed");
}

#[test]
fn what_is_exported_can_go_into_another_pipeline_and_stays_in_the_store() {
    let folder = store();
    let (all, said, code) = spill(&folder, &["export"]);
    assert_eq!(code, 0);
    assert_says(&said, &["30000 frames exported"]);
    numbers(&all).assert_is(1, LAST);
    let (part, _, _) = spill(&folder, &["export", "--from", "9990", "--to", "25000"]);
    numbers(&part).assert_is(9_991, 25_000);
    let (late, _, code) = spill(&folder, &["export", "--since", "2999-01-01T00:00:00Z"]);
    assert_eq!((late.as_str(), code), ("", 0));
    assert_eq!(spill(&folder, &["export", "--since", "2000-01-01T00:00:00Z"]).0, all);
    let (json, _, _) = spill(
        &folder,
        &["export", "--framing", "json", "--from", "777", "--to", "778"],
    );
    let line: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&line["position"], &line["source"], &line["seq"]),
        (&777.into(), &"plant".into(), &777.into())
    );
    assert_eq!(line["text"].as_str().unwrap().as_bytes(), &MESSAGES.line(778)[..99]);
    let length = folder
        .aqueduct(&["spill", "data", "export", "--framing", "length", "--to", "3"])
        .stdout;
    assert_eq!(length.len(), 3 * (4 + 99));
    assert_eq!(length[..4], 99_u32.to_be_bytes());
    folder.write(
        "again.toml",
        r#"
        name = "again"
        flow = ["in -> out"]
        sources.in = { type = "stdin" }
        sinks.out = { type = "file", path = "out.txt" }
        "#,
    );
    let mut program = folder.run(&["again.toml"]);
    program.stdin.take().unwrap().write_all(part.as_bytes()).unwrap();
    assert_eq!(program.exit_code(), 0);
    assert_eq!(folder.read("out.txt"), part);
    deliver(&folder, 0).assert_is(1, LAST);
}

#[test]
fn a_time_that_is_none_is_told_with_the_option_and_one_that_works() {
    let folder = store();
    for command in [&["export"][..], &["replay", "p.toml"]] {
        let (out, said, code) = spill(&folder, &[command, &["--since", "nonsense"]].concat());
        assert_eq!((out.as_str(), code), ("", 2), "{said}");
        assert_says(&said, &["--since", "nonsense", "2026-11-21T05:06:30Z", "UTC"]);
    }
    for example in ["2026-11-21T05:06:30Z", "2026-11-21 05:06:30"] {
        assert_eq!(
            spill(&folder, &["export", "--since", example, "--to", "0"]).2,
            0,
            "{example}"
        );
    }
}

#[test]
fn frames_that_a_framing_cannot_carry_are_counted_and_left_out() {
    let folder = store();
    let (out, said, code) = spill(&folder, &["export", "--delimiter-hex", "20", "--to", "5"]);
    assert_eq!((out.as_str(), code), ("", 1));
    assert_says(&said, &["0 frames exported", "5 frames left out", "--framing length"]);
    let (_, said, code) = spill(&folder, &["export", "--delimiter-hex", "xyz"]);
    assert_eq!(code, 2);
    assert_says(&said, &["--delimiter-hex xyz"]);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let folder = store();
    let mut child = Command::new(env!("CARGO_BIN_EXE_aqueduct"))
        .args(["spill", "data", "export"])
        .current_dir(folder.path(""))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    assert_eq!(
        (status.code(), String::from_utf8_lossy(&stderr).as_ref()),
        (Some(0), "")
    );
}

#[test]
fn a_store_in_use_is_seen_but_not_touched() {
    let folder = Folder::new();
    let program = run(&folder);
    fill(&program, LAST);
    let before = content(&folder);
    for look in LOOKS {
        assert_eq!(spill(&folder, look).2, 0, "{look:?}");
    }
    let (info, _, _) = spill(&folder, &["info"]);
    assert_says(
        &info,
        &["in use by process ", "aqueduct status", "30000 frames wait on disk"],
    );
    assert_says(&spill(&folder, &["list"]).0, &["may be being written"]);
    assert_says(
        &spill(&folder, &["verify"]).0,
        &["30000 frames read", "its end cannot be verified"],
    );
    let (out, said, _) = spill(&folder, &["export"]);
    assert_says(&said, &["is in use by process ", "only in memory is not seen"]);
    numbers(&out).assert_is(1, LAST);
    for touch in [
        &["skip", "--frames", "1", "--yes"][..],
        &["skip", "--to", "9"],
        &["compact"],
    ] {
        let (out, said, code) = spill(&folder, touch);
        assert_eq!((out.as_str(), code), ("", 1), "{touch:?}");
        assert_says(&said, &["is in use by process ", "stop that one"]);
    }
    assert!(content(&folder) == before, "something in the store has changed");
    let mut seen = Sequence::default();
    Destination::connect(program.address_of("network"), MESSAGES).take_through(LAST, &mut seen);
    seen.assert_is(1, LAST);
    program.stop();
}

#[test]
fn a_store_that_kill_9_left_is_not_in_use_and_is_whole() {
    let folder = Folder::new();
    let program = run(&folder);
    fill(&program, LAST);
    program.kill();
    let before = content(&folder);
    assert_says(
        &spill(&folder, &["info"]).0,
        &["not in use", "30000 frames wait on disk"],
    );
    assert_says(
        &spill(&folder, &["verify"]).0,
        &["30000 frames read, every checksum is right"],
    );
    numbers(&spill(&folder, &["export"]).0).assert_is(1, LAST);
    assert!(content(&folder) == before, "something in the store has changed");
}

#[test]
fn a_store_that_is_filled_and_drained_meanwhile_is_never_called_damaged() {
    let (folder, last) = (Folder::new(), 200_000);
    let program = run(&folder);
    let (source, network) = (program.address_of("plant"), program.address_of("network"));
    std::thread::scope(|scope| {
        let feeding = scope.spawn(move || Feeder::connect(source, MESSAGES).send(1..=last));
        let draining = scope.spawn(move || {
            let mut seen = Sequence::default();
            Destination::connect(network, MESSAGES).take_through(last, &mut seen);
            seen
        });
        let mut looks = 0;
        while !feeding.is_finished() || !draining.is_finished() || looks < 3 {
            let (out, said, code) = spill(&folder, &["verify"]);
            assert_eq!(code, 0, "{out}{said}");
            looks += 1;
        }
        draining.join().unwrap().assert_is(1, last);
    });
    program.stop();
}

#[test]
fn a_changed_byte_is_found_and_the_rest_comes_out_as_the_pipeline_delivers_it() {
    let folder = store();
    flip(&segments(&folder)[1], 15_000);
    let before = content(&folder);
    let (verify, said, code) = spill(&folder, &["verify"]);
    assert_eq!((code, said.as_str()), (1, ""), "{verify}");
    let name = segments(&folder)[1].file_name().unwrap().to_str().unwrap().to_owned();
    assert_says(
        &verify,
        &[
            &format!("{name}  damaged: "),
            "checksum",
            "can still be read",
            " missing, positions ",
            "1 damaged segment",
        ],
    );
    let (out, said, code) = spill(&folder, &["export"]);
    assert_eq!(code, 1);
    assert_says(&said, &["is damaged", "are missing"]);
    let exported = numbers(&out);
    let [(first, last)] = exported.gaps()[..] else {
        panic!("one gap: {exported:?}")
    };
    assert!((first..=last).contains(&15_000));
    let from = (first - 1).to_string();
    assert_says(
        &spill(&folder, &["peek", "--from", &from]).0,
        &[&format!("positions {from} to {last} are missing")],
    );
    assert!(content(&folder) == before, "something in the store has changed");
    assert_eq!(deliver(&folder, LOST), exported);
    let (info, _, _) = spill(&folder, &["info"]);
    assert_says(&info, &["quarantine: 1 damaged segment", &name, "frames lost; "]);
}

#[test]
fn segments_cut_short_empty_or_full_of_zeros_are_found() {
    let folder = store();
    let path = segments(&folder)[1].clone();
    let whole = fs::read(&path).unwrap();
    for damaged in [
        // A file may be twice as long as what is in it.
        whole[..whole.len() / 4].to_vec(),
        Vec::new(),
        vec![0; whole.len()],
        vec![7; 5_000],
    ] {
        fs::write(&path, damaged).unwrap();
        let (out, said, code) = spill(&folder, &["verify"]);
        assert_eq!((code, said.as_str()), (1, ""), "{out}");
        assert_says(&out, &["damaged: ", " missing, positions "]);
        assert_says(&spill(&folder, &["list"]).0, &["damaged: "]);
        assert_eq!(spill(&folder, &["info"]).2, 0);
    }
    fs::write(&path, whole).unwrap();
    assert_eq!(spill(&folder, &["verify"]).2, 0);
    let newest = segments(&folder).pop().unwrap();
    let whole = fs::read(&newest).unwrap();
    fs::write(&newest, &whole[..whole.len() / 4]).unwrap();
    let (out, _, code) = spill(&folder, &["verify"]);
    assert_eq!(code, 1);
    assert_says(&out, &["damaged: ", "it is the newest: how many frames"]);
}

#[test]
fn a_lost_cursor_and_a_lost_format_are_told() {
    let folder = store();
    fs::remove_file(folder.path("data/main.cursor")).unwrap();
    fs::write(folder.path("data/format"), "rubbish").unwrap();
    let before = content(&folder);
    assert_says(
        &spill(&folder, &["info"]).0,
        &["frames may come again", "format unknown"],
    );
    let (verify, _, code) = spill(&folder, &["verify"]);
    assert_eq!(code, 1);
    assert_says(
        &verify,
        &[
            "main.cursor  missing",
            "format  missing or damaged",
            "30000 frames read",
        ],
    );
    assert!(content(&folder) == before, "something in the store has changed");
}

#[test]
fn a_store_of_format_1_is_read_and_not_upgraded() {
    let folder = Folder::new();
    fs::create_dir(folder.path("data")).unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nothing_lost/golden/format-1");
    for entry in fs::read_dir(golden).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path("data").join(path.file_name().unwrap())).unwrap();
    }
    let before = content(&folder);
    assert_says(
        &spill(&folder, &["info"]).0,
        &["format 1; the next start makes it 2", "73 frames wait on disk"],
    );
    assert_says(
        &spill(&folder, &["verify"]).0,
        &["80 frames read, every checksum is right"],
    );
    assert_says(
        &spill(&folder, &["peek", "--count", "1"]).0,
        &["7  source:7 ", "\"frame 7\""],
    );
    let (out, _, code) = spill(&folder, &["export"]);
    assert_eq!((out.lines().count(), code), (73, 0));
    assert!(content(&folder) == before, "something in the store has changed");
}

#[test]
fn a_newer_format_is_refused() {
    let folder = store();
    folder.write("data/format", "aqueduct-spill 99\n");
    for look in LOOKS {
        let (_, said, code) = spill(&folder, look);
        assert_eq!(code, 1, "{look:?}");
        assert_says(&said, &["has format 99", "run the version that wrote it"]);
    }
}

#[test]
fn a_folder_that_is_no_store_stays_as_it_is() {
    let folder = Folder::new();
    let all = LOOKS
        .into_iter()
        .chain([&["skip", "--frames", "1", "--yes"][..], &["compact"]]);
    for action in all.clone() {
        let (_, said, code) = spill(&folder, action);
        assert_eq!(code, 2, "{action:?}");
        assert_says(&said, &["data is no spill store: there is no such folder", "[spills]"]);
    }
    assert!(folder.names().is_empty());
    fs::create_dir(folder.path("data")).unwrap();
    for action in all.clone() {
        assert_says(&spill(&folder, action).1, &["it is empty"]);
    }
    folder.write("data/letter.txt", "dear");
    for action in all {
        assert_says(&spill(&folder, action).1, &["it holds other files"]);
    }
    assert_eq!(content(&folder).len(), 1);
}
