//! A file system that became read-only between two runs, as after an error of its disk: what is stored is still delivered.

use std::process::Command;

use crate::full_disk::may_mount;
use crate::harness::{Destination, Feeder, Folder, Messages, Sequence};

const MESSAGES: Messages = Messages::SHORT;
const LAST: u64 = 5_000;
/// Mounts the folder `data` read-only, for this program only.
const READ_ONLY: &str = "mount --bind data data && mount -o remount,bind,ro data && exec \"$@\"";
const CONFIG: &str = r#"
    name = "p"
    flow = ["source -> drain -> network"]
    sources.source = { type = "tcp_server", listen = "127.0.0.1:0" }
    spills.drain = { directory = "data/store", persist = "always" }
    sinks.network = { type = "tcp_server", listen = "127.0.0.1:0" }
    "#;

/// A folder in whose store all messages wait, as kill -9 leaves it.
fn stored() -> Folder {
    let folder = Folder::new();
    let program = folder.run_pipeline(CONFIG);
    Feeder::connect(program.address_of("source"), MESSAGES).send(1..=LAST);
    program.wait_for("all is acknowledged", |status| {
        status.number("source", "settled") == LAST
    });
    program.kill();
    folder
}

#[test]
fn a_store_on_a_read_only_file_system_is_delivered_and_comes_again() {
    if !may_mount() {
        eprintln!("skipped: this machine allows no mounts of one's own");
        return;
    }
    let folder = stored();
    for _ in 0..2 {
        let shell = ["unshare", "-Urm", "sh", "-c", READ_ONLY, "sh"];
        let (program, mut seen) = (folder.run_pipeline_after(&shell, CONFIG), Sequence::default());
        program.log.first(&[
            "is read-only: what is stored there (5000 frames)",
            "it comes again after the next start",
        ]);
        Destination::connect(program.address_of("network"), MESSAGES).take_through(LAST, &mut seen);
        seen.assert_is(1, LAST);
        let status = program.wait_for("nothing waits", |status| status.number("drain", "waiting_frames") == 0);
        let state = &status.actor("drain").meters.texts["state"];
        assert!(state.starts_with("its file system is read-only; "), "{state}");
        program.stop();
    }
    // Mounted writable again, it is a store as before.
    let (program, mut seen) = (folder.run_pipeline(CONFIG), Sequence::default());
    Destination::connect(program.address_of("network"), MESSAGES).take_through(LAST, &mut seen);
    seen.assert_is(1, LAST);
    program.wait_for("nothing waits", |status| status.number("drain", "waiting_frames") == 0);
    program.stop();
    let program = folder.run_pipeline(CONFIG);
    program.address_of("network");
    assert_eq!(program.status_of("p").number("drain", "waiting_frames"), 0);
    program.stop();
}

#[test]
fn what_arrives_while_nothing_can_be_stored_is_told_and_not_acknowledged() {
    if !may_mount() {
        return;
    }
    let folder = stored();
    let shell = ["unshare", "-Urm", "sh", "-c", READ_ONLY, "sh"];
    let program = folder.run_pipeline_after(&shell, CONFIG);
    Feeder::connect(program.address_of("source"), MESSAGES).send(LAST + 1..=LAST + 10);
    program
        .log
        .first(&["the store could not use its disk", "Read-only file system"]);
    let status = program.wait_for("it says so", |status| {
        let state = status.actor("drain").meters.texts.get("state");
        state.is_some_and(|state| state.contains("Read-only file system"))
    });
    assert_eq!(status.number("source", "settled"), 0);
    program.kill();
}

#[test]
fn who_wants_to_change_such_a_store_is_refused_and_whoever_looks_is_not() {
    if !may_mount() {
        return;
    }
    let folder = stored();
    for (arguments, code) in [
        (&["info"][..], 0),
        (&["skip", "--frames", "10", "--yes"], 1),
        (&["compact"], 1),
    ] {
        let output = Command::new("unshare")
            .args([
                "-Urm",
                "sh",
                "-c",
                READ_ONLY,
                "sh",
                env!("CARGO_BIN_EXE_aqueduct"),
                "spill",
                "data/store",
            ])
            .args(arguments)
            .current_dir(folder.path(""))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(
            code == 0 || said.contains("cannot change data/store: Read-only file system"),
            "{said}"
        );
    }
}
