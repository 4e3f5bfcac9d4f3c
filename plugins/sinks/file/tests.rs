use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use super::rotation::Rotation;
use crate::testing::{Running, lines, send};

fn writing(options: &str) -> Running {
    Running::start(&format!(
        r#"
        flow = "input -> out"
        [sources.input]
        type = "tcp_server"
        listen = "127.0.0.1:0"
        [sinks.out]
        type = "file"
        path = "made/out.txt"
        {options}
        "#
    ))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("a name").file_name().into_string().expect("text"))
        .collect();
    names.sort();
    names
}

#[test]
fn frames_are_appended_to_what_is_there() {
    let running = writing("sync = \"batch\"");
    let path = running.folder().join("made/out.txt");
    running.wait("out", "opened", 1);
    fs::write(&path, "before\n").expect("a file");
    send(&mut running.connect("input"), &lines(0..3));
    running.wait("out", "frames_out", 3);
    assert_eq!(
        fs::read_to_string(path).expect("the file"),
        format!("before\n{}", lines(0..3))
    );
    assert_eq!(running.stop().failure, None);
}

#[test]
fn a_full_file_is_set_aside_between_two_frames_and_the_oldest_are_removed() {
    // Each line has 7 bytes, so three fit.
    let running = writing("rotate_bytes = 25\nkeep = 2");
    let folder = running.folder().join("made");
    send(&mut running.connect("input"), &lines(0..10));
    running.wait("out", "frames_out", 10);
    assert_eq!(names(&folder), ["out.txt", "out.txt.000002", "out.txt.000003"]);
    let read = |name: &str| fs::read_to_string(folder.join(name)).expect("the file");
    assert_eq!(read("out.txt.000002"), lines(3..6));
    assert_eq!(read("out.txt.000003"), lines(6..9));
    assert_eq!(read("out.txt"), lines(9..10));
    assert_eq!(running.number("out", "files_removed"), 1);
}

#[test]
fn a_frame_larger_than_a_file_gets_one_of_its_own() {
    let running = writing("rotate_bytes = 10");
    let folder = running.folder().join("made");
    let long = "x".repeat(50);
    send(&mut running.connect("input"), &format!("a\n{long}\nb\n"));
    running.wait("out", "frames_out", 3);
    assert_eq!(names(&folder).len(), 3);
    assert_eq!(
        fs::read_to_string(folder.join("out.txt.000002")).expect("the file"),
        format!("{long}\n")
    );
}

#[test]
fn as_json_every_frame_is_a_line_that_says_all_that_is_known_of_it() {
    let running = writing("format = \"json\"\nrotate_bytes = 500");
    let folder = running.folder().join("made");
    let mut peer = running.connect("input");
    std::io::Write::write_all(&mut peer, b"plain\nquo\"ted\n\xff\xfe\n").expect("it reads");
    running.wait("out", "frames_out", 3);
    let mut all: Vec<serde_json::Value> = Vec::new();
    for name in ["out.txt.000001", "out.txt"] {
        let text = fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(text.len() <= 500, "{name} has {} bytes", text.len());
        all.extend(text.lines().map(|line| serde_json::from_str(line).expect("JSON")));
    }
    let seqs: Vec<_> = all.iter().map(|line| line["seq"].as_u64()).collect();
    assert_eq!(seqs, [Some(0), Some(1), Some(2)]);
    assert_eq!(all[0]["source"], "input");
    assert_eq!(all[0]["text"], "plain");
    assert_eq!(all[1]["text"], "quo\"ted");
    assert_eq!(all[2]["base64"], "//4=");
    assert!(all[2].get("text").is_none() && all[2].get("rejected").is_none());
    assert!(all[0]["received"].as_str().is_some_and(|time| time.ends_with('Z')));
    assert_eq!(running.stop().failure, None);
}

#[test]
fn a_full_disk_is_waited_out_and_nothing_is_lost() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let path = folder.path().join("out.txt");
    // A device on which the disk is always full.
    std::os::unix::fs::symlink("/dev/full", &path).expect("a link");
    let running = Running::start(&format!(
        r#"
        flow = "input -> out"
        [sources.input]
        type = "tcp_server"
        listen = "127.0.0.1:0"
        [sinks.out]
        type = "file"
        path = "{}"
        retry = {{ first = "10ms", max = "20ms" }}
        "#,
        path.display()
    ));
    send(&mut running.connect("input"), &lines(0..100));
    running.wait("out", "disconnects", 3);
    running.until("the reason is shown", || {
        running.text("out", "state").contains("make room on the disk")
    });
    fs::remove_file(&path).expect("the link goes");
    running.wait("out", "frames_out", 100);
    assert_eq!(fs::read_to_string(&path).expect("the file"), lines(0..100));
    assert_eq!(running.stop().failure, None);
}

#[test]
fn only_a_file_with_something_in_it_is_due() {
    let rules = Rotation {
        bytes: Some(100),
        every: Some(Duration::from_secs(60)),
        keep: None,
    };
    let (young, old) = (Duration::from_secs(1), Duration::from_secs(60));
    assert!(!rules.is_due(90, young, 10));
    assert!(rules.is_due(91, young, 10));
    assert!(rules.is_due(1, old, 1));
    assert!(!rules.is_due(0, old, 1000));
}

#[test]
fn numbers_go_on_behind_the_highest() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let path = folder.path().join("log");
    for name in ["log", "log.000009", "log.1000000", "log.old", "log.12", "other.999999"] {
        fs::write(folder.path().join(name), name).expect("a file");
    }
    let rules = Rotation {
        bytes: None,
        every: None,
        keep: Some(2),
    };
    assert_eq!(rules.set_aside(&path).expect("it is renamed"), 1);
    assert_eq!(
        names(folder.path()),
        ["log.1000000", "log.1000001", "log.12", "log.old", "other.999999"]
    );
}

#[test]
fn a_new_file_is_its_owners_alone_unless_a_mode_is_set() {
    for (options, expected) in [("", 0o600), ("mode = \"0644\"", 0o644)] {
        let running = writing(options);
        running.wait("out", "opened", 1);
        let about = fs::metadata(running.folder().join("made/out.txt")).expect("the file");
        assert_eq!(about.permissions().mode() & 0o777, expected);
        assert_eq!(running.stop().failure, None);
    }
}
