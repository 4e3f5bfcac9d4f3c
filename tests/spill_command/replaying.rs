//! `replay`: what is in a store goes through a pipeline, and stays.

use super::*;

/// A pipeline that keeps everything that comes, as JSON. Its source is never run by these tests.
fn keeper(folder: &Folder) {
    folder.write(
        "keeper.toml",
        r#"
        name = "keeper"
        flow = ["plant -> keep -> work -> out"]
        sources.plant = { type = "tcp_client", address = "127.0.0.1:1" }
        spills.keep = { directory = "keep" }
        processors.work = { type = "filter", contains = " " }
        sinks.out = { type = "file", path = "out.json", format = "json" }
        "#,
    );
}

fn replay(folder: &Folder, arguments: &[&str]) -> (String, String, i32) {
    spill(folder, &[&["replay"], arguments].concat())
}

/// What the keeper has kept, and nothing any more.
fn kept(folder: &Folder) -> Vec<serde_json::Value> {
    let text = folder.read("out.json");
    // It is not there when nothing was kept.
    let _ = fs::remove_file(folder.path("out.json"));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Message `n` stands at position `n - 1`, and has that number.
fn seqs(kept: &[serde_json::Value]) -> Sequence {
    Sequence::of(kept.iter().map(|line| line["seq"].as_u64().unwrap() + 1))
}

#[test]
fn a_replay_brings_everything_as_it_was_and_it_stays_in_the_store() {
    let folder = store();
    keeper(&folder);
    let before = content(&folder);
    let (out, said, code) = replay(&folder, &["keeper.toml"]);
    assert_eq!((out.as_str(), code), ("", 0), "{said}");
    assert_says(
        &said,
        &[
            "30000 frames replayed into keep, positions 0 to 30000",
            "they stay in the store",
            "spill data skip --to 30000",
        ],
    );
    let (exported, _, _) = spill(&folder, &["export", "--framing", "json"]);
    let replayed = kept(&folder);
    assert_eq!(replayed.len(), exported.lines().count());
    for (replayed, stored) in replayed.iter().zip(exported.lines()) {
        let stored: serde_json::Value = serde_json::from_str(stored).unwrap();
        for member in ["source", "epoch", "seq", "received", "attributes", "text"] {
            assert_eq!(replayed[member], stored[member], "{member}");
        }
    }
    assert!(content(&folder) == before, "something in the store has changed");
    deliver(&folder, 0).assert_is(1, LAST);
    assert_says(&replay(&folder, &["keeper.toml"]).1, &["0 frames replayed"]);
    assert!(kept(&folder).is_empty(), "what was delivered does not come again");
}

#[test]
fn positions_and_times_say_what_is_replayed() {
    let folder = store();
    keeper(&folder);
    let (_, said, code) = replay(&folder, &["keeper.toml", "--from", "9990", "--to", "25001"]);
    assert_eq!(code, 0, "{said}");
    assert_says(&said, &["15011 frames replayed into keep, positions 9990 to 25001"]);
    assert!(
        !said.contains("skip"),
        "that would give up what was not replayed: {said}"
    );
    seqs(&kept(&folder)).assert_is(9_991, 25_001);
    assert_eq!(
        replay(&folder, &["keeper.toml", "--since", "2999-01-01T00:00:00Z"]).2,
        0
    );
    assert!(kept(&folder).is_empty());
    assert_eq!(
        replay(&folder, &["keeper.toml", "--since", "2000-01-01T00:00:00Z"]).2,
        0
    );
    seqs(&kept(&folder)).assert_is(1, LAST);
}

#[test]
fn what_is_damaged_is_told_and_the_rest_is_replayed_and_the_quarantine_can_be_too() {
    let folder = store();
    keeper(&folder);
    flip(&segments(&folder)[1], 15_000);
    let (exported, _, _) = spill(&folder, &["export"]);
    let (_, said, code) = replay(&folder, &["keeper.toml"]);
    assert_eq!(code, 1);
    assert_says(
        &said,
        &["is damaged", "1 damaged segment, ", " missing; `verify` says more"],
    );
    assert_eq!(seqs(&kept(&folder)), numbers(&exported));
    deliver(&folder, LOST);
    let (out, said, code) = folder_command(&folder, &["spill", "data/quarantine", "replay", "keeper.toml"]);
    assert_eq!((out.as_str(), code), ("", 1), "{said}");
    let rescued = seqs(&kept(&folder));
    assert!(
        rescued.first() > 1 && rescued.last() < LAST,
        "of one segment: {rescued:?}"
    );
}

fn folder_command(folder: &Folder, arguments: &[&str]) -> (String, String, i32) {
    let output = folder.aqueduct(arguments);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code().unwrap())
}

#[test]
fn a_pipeline_is_replayed_into_behind_its_own_store_while_it_runs() {
    let folder = Folder::new();
    let mut program = run(&folder);
    fill(&program, LAST);
    let (_, said, code) = replay(&folder, &["p.toml"]);
    assert_eq!(code, 2);
    assert_says(&said, &["this very store, as `drain`", "--into"]);
    keeper(&folder);
    let (_, said, code) = replay(&folder, &["keeper.toml", "--into", "work"]);
    assert_eq!(code, 0, "{said}");
    assert_says(
        &said,
        &[
            "data is in use by process ",
            "only in memory is not read",
            "30000 frames replayed into work",
        ],
    );
    seqs(&kept(&folder)).assert_is(1, LAST);
    assert!(
        !folder.path("keep").exists(),
        "the store in front of `work` takes no part"
    );
    let mut seen = Sequence::default();
    Destination::connect(program.address_of("network"), MESSAGES).take_through(LAST, &mut seen);
    seen.assert_is(1, LAST);
    program.terminate();
    assert_eq!(program.exit_code(), 0);
}

#[test]
fn a_replay_that_is_ended_early_says_where_to_go_on() {
    let folder = store();
    keeper(&folder);
    folder.write(
        "slow.toml",
        r#"
        name = "p"
        flow = "plant -> slow -> out"
        sources.plant = { type = "tcp_client", address = "127.0.0.1:1" }
        processors.slow = { type = "throttle", frames_per_second = 1000 }
        sinks.out = { type = "file", path = "out.json", format = "json" }
        shutdown = { deadline = "200ms" }
        "#,
    );
    let mut program = folder.begin(&["spill", "data", "replay", "slow.toml"]);
    crate::harness::wait_until("something has been replayed", || {
        (program.status_of("p-replay").number("replay", "position") > 0).then_some(())
    });
    program.terminate();
    let said = program.log.first(&["ended early", "go on with --from "]);
    assert_eq!(program.exit_code(), LOST);
    let from = said.split("--from ").nth(1).unwrap().trim().to_owned();
    let first = kept(&folder);
    let position: u64 = from.parse().unwrap();
    assert!(
        position > 0 && position <= first.len() as u64 && position < LAST,
        "{said}"
    );
    let (_, said, code) = replay(&folder, &["keeper.toml", "--from", &from]);
    assert_eq!(code, 0, "{said}");
    let mut all = seqs(&first[..position as usize]);
    kept(&folder)
        .iter()
        .for_each(|line| all.see(line["seq"].as_u64().unwrap() + 1));
    all.assert_is(1, LAST);
}

#[test]
fn frames_that_nobody_took_are_not_said_to_be_replayed() {
    let folder = store();
    folder.write(
        "away.toml",
        r#"
        name = "p"
        flow = "plant -> all -> out"
        sources.plant = { type = "tcp_client", address = "127.0.0.1:1" }
        processors.all = { type = "filter", matches = "" }
        sinks.out = { type = "tcp_server", listen = "127.0.0.1:0" }
        shutdown = { deadline = "100ms" }
        "#,
    );
    let mut program = folder.begin(&["spill", "data", "replay", "away.toml"]);
    crate::harness::wait_until("something has been sent", || {
        (program.status_of("p-replay").number("replay", "frames_out") > 0).then_some(())
    });
    program.terminate();
    program.log.first(&["0 frames replayed"]);
    program.exit_code();
    let log = program.log.so_far().join("\n");
    assert!(!log.contains("replayed into"), "{log}");
}

#[test]
fn what_cannot_be_replayed_is_told_before_anything_is_opened() {
    let folder = store();
    keeper(&folder);
    folder.write(
        "several.toml",
        r#"
        flow = ["a -> left -> out", "b -> out"]
        sources.a = { type = "tcp_client", address = "127.0.0.1:1" }
        sources.b = { type = "tcp_client", address = "127.0.0.1:1" }
        processors.left = { type = "filter", contains = "x" }
        sinks.out = { type = "file", path = "out.json" }
        "#,
    );
    let before = folder.names();
    for (arguments, parts) in [
        (
            &["keeper.toml", "--into", "plant"][..],
            &["--into plant: expected one of keep, work, out"][..],
        ),
        (
            &["several.toml"],
            &["several.toml: its sources feed different actors (left, out)", "--into"],
        ),
        (&["keeper.toml", "several.toml"], &["one pipeline file"]),
        (&["nowhere.toml"], &["nowhere.toml"]),
        (&["keeper.toml", "--since", "yesterday"], &["--since"]),
        (&[], &["<FILE>"]),
    ] {
        let (out, said, code) = replay(&folder, arguments);
        assert_eq!((out.as_str(), code), ("", 2), "{arguments:?}: {said}");
        assert_says(&said, parts);
    }
    assert_eq!(folder.names(), before);
    let (_, said, code) = folder_command(&folder, &["spill", "nowhere", "replay", "keeper.toml"]);
    assert_eq!(code, 2);
    assert_says(&said, &["nowhere is no spill store: there is no such folder"]);
}
