//! The commands that look at a pipeline instead of running one.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use aqueduct::framework::pipeline::Pressure;

use crate::harness::{Feeder, Folder, Messages, Program};

const FLOW: &str = r#"
    name = "p"
    flow = ["source -> drain -> pick -> network", "pick.dropped -> rest"]
    sources.source = { type = "tcp_server", listen = "127.0.0.1:0" }
    spills.drain = { directory = "data", memory_bytes = "64 KiB" }
    processors.pick = { type = "filter", contains = "a" }
    sinks.network = { type = "tcp_server", listen = "127.0.0.1:0" }
    sinks.rest = { type = "file", path = "rest.txt" }
    "#;

fn running(folder: &Folder) -> Program {
    let program = folder.run_pipeline(FLOW);
    program.status_of("p");
    program
}

fn text(output: &Output) -> String {
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn status_tells_in_words_what_spills_and_where_it_is_kept() {
    let folder = Folder::new();
    let program = running(&folder);
    Feeder::connect(program.address_of("source"), Messages::SHORT).send(1..=40_000);
    program.wait_for("it spills", |status| {
        status.edge("source -> drain").pressure == Pressure::Spilling
            && status.number("drain", "waiting_frames") == 40_000
    });
    let words = text(&folder.aqueduct(&["status", "p"]));
    let listening = format!("listening on {}", program.address_of("source"));
    for part in [
        listening.as_str(),
        "pipeline p",
        "source",
        "drain",
        "waiting",
        "on disk",
        "source -> drain: drain is offered",
        "network",
        "waiting for a client",
    ] {
        assert!(words.contains(part), "{part:?} is missing in:\n{words}");
    }
    assert_eq!(
        text(&folder.aqueduct(&["status"])).lines().next(),
        Some("pipeline p"),
        "without a name: all of them"
    );
    program.stop();
}

#[test]
fn status_as_json_has_every_actor_and_edge() {
    let folder = Folder::new();
    let program = running(&folder);
    let json: serde_json::Value =
        serde_json::from_str(&text(&folder.aqueduct(&["status", "--json", "p"]))).expect("it is JSON");
    let names = |list: &str, key: &str| -> Vec<String> {
        let entries = json[list].as_array().unwrap().iter();
        entries.map(|entry| entry[key].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(json["pipeline"], "p");
    let mut actors = names("actors", "name");
    actors.sort();
    assert_eq!(actors, ["drain", "network", "pick", "rest", "source"]);
    let mut edges = names("edges", "edge");
    edges.sort();
    assert_eq!(
        edges,
        [
            "drain -> pick",
            "pick -> network",
            "pick.dropped -> rest",
            "source -> drain"
        ]
    );
    program.stop();
}

#[test]
fn the_admin_socket_is_for_its_owner_only_and_goes_away_at_the_end() {
    let folder = Folder::new();
    let program = running(&folder);
    let socket = folder.path("aqueduct/p.sock");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&socket), 0o600);
    assert_eq!(mode(&folder.path("aqueduct")), 0o700);
    program.stop();
    assert!(!socket.exists());
}

#[test]
fn status_of_a_pipeline_that_does_not_run_says_so() {
    let folder = Folder::new();
    for arguments in [&["status"][..], &["status", "p"]] {
        let output = folder.aqueduct(arguments);
        assert_eq!(output.status.code(), Some(1));
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("running"),
            "{output:?}"
        );
    }
}

#[test]
fn a_second_pipeline_of_the_same_name_is_refused_and_the_first_goes_on() {
    let folder = Folder::new();
    let program = running(&folder);
    let second = folder.aqueduct(&["run", "p.toml"]);
    assert_eq!(second.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&second.stderr);
    assert!(
        errors.contains("a pipeline of this name is running already"),
        "{errors}"
    );
    program.status_of("p");
    program.stop();
}

/// Whoever asks for everything that runs is not told of what once ran.
#[test]
fn a_socket_left_behind_by_kill_9_is_no_pipeline() {
    let folder = Folder::new();
    running(&folder).kill();
    for arguments in [&["status"][..], &["trace", "source:1"]] {
        let output = folder.aqueduct(arguments);
        assert_eq!(output.status.code(), Some(1));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.starts_with("no pipeline of this user is running"), "{errors}");
    }
}

#[test]
fn a_socket_left_behind_by_kill_9_does_not_prevent_the_next_start() {
    let folder = Folder::new();
    running(&folder).kill();
    assert!(folder.path("aqueduct/p.sock").exists());
    running(&folder).stop();
}

/// `aqueduct plugins tcp_client | head` once ended with a panic.
#[test]
fn a_reader_that_has_seen_enough_brings_no_message() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_aqueduct"))
        .args(["plugins", "tcp_client"])
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .expect("it starts");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(!output.status.success());
}

#[test]
fn plugins_lists_every_plugin_of_every_role() {
    let list = text(&Folder::new().aqueduct(&["plugins"]));
    for part in [
        "sources:",
        "tcp_client",
        "tcp_server",
        "generate",
        "stdin",
        "processors:",
        "filter",
        "rewrite",
        "throttle",
        "delay",
        "verify",
        "sinks:",
        "file",
        "stdout",
        "blackhole",
    ] {
        assert!(list.contains(part), "{part:?} is missing in:\n{list}");
    }
    for line in list.lines().filter(|line| line.starts_with("  ")) {
        assert!(
            line.split_whitespace().count() > 2,
            "a plugin without a word about it: {line}"
        );
    }
}

#[test]
fn plugins_with_a_name_tells_options_types_defaults_and_a_sample() {
    let folder = Folder::new();
    let about = text(&folder.aqueduct(&["plugins", "filter"]));
    for part in [
        "filter (processor)",
        "contains",
        "matches",
        "keep",
        "drop",
        "workers",
        "window_bytes",
        "2 MiB",
        "dropped",
        "type = \"filter\"",
    ] {
        assert!(about.contains(part), "{part:?} is missing in:\n{about}");
    }
    assert!(about.contains("mode: \"keep\" | \"drop\", default \"keep\""), "{about}");
    assert!(
        text(&folder.aqueduct(&["plugins", "tcp_server"])).contains("(sink)"),
        "both plugins of the name are told"
    );
    assert_eq!(folder.aqueduct(&["plugins", "nonsense"]).status.code(), Some(2));
}

#[test]
fn plugins_knows_the_settings_of_the_process_and_what_was_meant() {
    let folder = Folder::new();
    for (name, parts) in [
        (
            "log",
            ["format: \"text\" | \"json\", default \"text\"", "queue_bytes", "[log]"],
        ),
        ("shutdown", ["deadline", "default \"10s\"", "[shutdown]"]),
        ("admin", ["reports_bytes", "optional", "[admin]"]),
        (
            "telemetry",
            ["sample_ratio: number (at most 1.0)", "max_per_second", "[telemetry]"],
        ),
    ] {
        let about = text(&folder.aqueduct(&["plugins", name]));
        for part in parts {
            assert!(about.contains(part), "{part:?} is missing in:\n{about}");
        }
    }
    for (typo, meant) in [
        ("throtle", "throttle"),
        ("tcp_clinet", "tcp_client"),
        ("shutdwn", "shutdown"),
        ("fixd", "fixed"),
    ] {
        let output = folder.aqueduct(&["plugins", typo]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2));
        assert!(told.contains(&format!("did you mean `{meant}`?")), "{told}");
    }
}

#[test]
fn every_option_of_every_plugin_shows_its_default_unless_it_is_optional_or_required() {
    let folder = Folder::new();
    let list = text(&folder.aqueduct(&["plugins"]));
    let names = list
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split([' ', ',']).next());
    let mut told = 0;
    for name in names.chain(["framing"]) {
        let about = text(&folder.aqueduct(&["plugins", name]));
        assert!(!about.contains("has a default"), "{about}");
        told += usize::from(about.contains("default "));
    }
    assert!(told > 10, "they are told");
}

#[test]
fn graph_draws_the_flow_in_three_forms() {
    let folder = Folder::new();
    folder.write("p.toml", FLOW);
    let drawn = |form: &str| text(&folder.aqueduct(&["graph", "p.toml", "--form", form]));
    assert_eq!(
        drawn("text"),
        "p\n  source [tcp_server]\n    -> drain [spill]\n      -> pick [filter]\n        -> network [tcp_server]\n        -> (.dropped) rest [file]\n"
    );
    let dot = drawn("dot");
    assert!(
        dot.starts_with("digraph \"p\" {")
            && dot.contains("pick -> rest [label = \"dropped\"];")
            && dot.ends_with("}\n"),
        "{dot}"
    );
    let mermaid = drawn("mermaid");
    assert!(
        mermaid.starts_with("flowchart LR\n") && mermaid.contains("pick -->|dropped| rest"),
        "{mermaid}"
    );
    assert_eq!(folder.names(), ["p.toml"], "drawing opens nothing");
}

/// Those are for the harness that must find them; a build with them is no release.
#[test]
#[cfg(not(feature = "seeded-bugs"))]
fn the_program_has_no_bugs_on_purpose() {
    let program = std::fs::read(env!("CARGO_BIN_EXE_aqueduct")).unwrap();
    let switch = regex::bytes::Regex::new("AQUEDUCT_SEEDED_BUG").unwrap();
    assert!(!switch.is_match(&program));
}
