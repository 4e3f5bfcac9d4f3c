//! The table as its reader finds it.

use std::fs;
use std::path::PathBuf;

use aqueduct::framework::testing::{self, SinkKit};
use tempfile::TempDir;

use super::Table;

fn kit(folder: &TempDir) -> (PathBuf, SinkKit<Table>) {
    let kit = testing::sink::<Table>("path = \"table.csv\"").folder(folder.path());
    (folder.path().join("table.csv"), kit)
}

fn rows(file: &PathBuf) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let rows = text.lines().skip(1).filter(|line| !line.starts_with('#'));
    rows.map(str::to_owned).collect()
}

#[test]
fn readings_add_up_for_each_probe() {
    let folder = TempDir::new().unwrap();
    let (file, kit) = kit(&folder);
    let run = kit.frames(["1,20", "2,5.5", "1,22"]);
    assert_eq!(run.failure(), None);
    assert_eq!(rows(&file), ["1,2,20,21.000,22,42.000", "2,1,5.5,5.500,5.5,5.500"]);
}

#[test]
fn readings_that_come_again_after_a_restart_are_not_counted_twice() {
    let folder = TempDir::new().unwrap();
    kit(&folder).1.frames(["1,20", "1,22"]);
    let (file, kit) = kit(&folder);
    kit.frames(["1,20", "1,22", "1,24"]);
    assert_eq!(rows(&file), ["1,3,20,22.000,24,66.000"]);
}

#[test]
fn what_is_no_reading_is_rejected_and_the_next_one_counts() {
    let folder = TempDir::new().unwrap();
    let (file, kit) = kit(&folder);
    let run = kit.frames(["1,20", "junk", "1,22"]);
    assert_eq!(run.rejected()[0].frame, "junk");
    assert_eq!(rows(&file), ["1,2,20,21.000,22,42.000"]);
}

#[test]
fn a_disk_that_takes_nothing_delays_and_loses_nothing() {
    let folder = TempDir::new().unwrap();
    let (file, kit) = kit(&folder);
    let obstacle = folder.path().join("table.draft");
    fs::create_dir(&obstacle).unwrap();
    let sink = kit.start();
    sink.send(["1,20"]);
    sink.wait_count("disconnects", 1);
    fs::remove_dir(&obstacle).unwrap();
    sink.wait_settled(1);
    assert_eq!(rows(&file), ["1,1,20,20.000,20,20.000"]);
}

#[test]
fn a_file_that_is_no_table_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let (file, kit) = kit(&folder);
    fs::write(&file, "my diary").unwrap();
    let run = kit.frames(["1,20"]);
    assert!(run.failure().unwrap().contains("is no table; move it away"));
    assert_eq!(fs::read_to_string(&file).unwrap(), "my diary");
}

#[test]
fn it_keeps_to_the_contract() {
    let folder = TempDir::new().unwrap();
    testing::conformance::sink::<Table>()
        .folder(folder.path())
        .frames(["1,20", "junk", "2,5.5"])
        .check();
}
