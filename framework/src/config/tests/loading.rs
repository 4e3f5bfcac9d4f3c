//! What comes out of files.

use std::path::Path;

use super::files::{FEED, Files, feed, spill};
use crate::config::{FramingConfig, HostConfig, LoadOptions, Persist, Role, SpillConfig, WhenFull};
use crate::framing::OnOversize;
use crate::units::{ByteSize, Period};

#[test]
fn a_file_becomes_actors_in_flow_order_with_everything_typed() {
    let files = Files::new(&[("feed.toml", FEED)]);
    let feed = files.feed(&LoadOptions::default());
    assert_eq!(feed.name, "feed");
    let names: Vec<_> = feed
        .actors
        .iter()
        .map(|actor| (actor.name.as_str(), actor.role, actor.plugin.as_str()))
        .collect();
    assert_eq!(
        names,
        [
            ("c_server", Role::Source, "tcp_client"),
            ("drain", Role::Spill, "spill"),
            ("process", Role::Processor, "filter"),
            ("network", Role::Sink, "tcp_client"),
            ("dead_letters", Role::Sink, "file"),
        ]
    );
    let edges: Vec<_> = feed.edges.iter().map(ToString::to_string).collect();
    assert_eq!(
        edges,
        [
            "c_server -> drain",
            "drain -> process",
            "process -> network",
            "process.rejected -> dead_letters"
        ]
    );
    let expected = SpillConfig {
        max_bytes: ByteSize(1_000_000_000),
        when_full: WhenFull::DropOldest,
        persist: Persist::Always,
        ..SpillConfig::new(files.path("data/feed"))
    };
    assert_eq!(spill(&feed), expected);
    let HostConfig::Processor(process) = &feed.actor("process").unwrap().host else {
        panic!("not a processor")
    };
    assert_eq!(
        (process.workers.get(), process.window_bytes, process.own_thread),
        (4, ByteSize::mib(2), None)
    );
    let HostConfig::Sink(network) = &feed.actor("network").unwrap().host else {
        panic!("not a sink")
    };
    assert_eq!(
        (network.retry.first, network.retry.max),
        (Period::milliseconds(100), Period::seconds(5))
    );
    let settings = &feed.actor("process").unwrap().settings;
    assert_eq!(
        settings,
        &serde_json::json!({ "contains": "ERROR" }),
        "only the plugin's own keys"
    );
}

#[test]
fn sinks_inherit_the_framing_of_their_sources() {
    let feed = feed(&LoadOptions::default());
    let framing = FramingConfig::Delimited {
        delimiter: vec![0],
        keep: false,
        max_frame_bytes: 65_536,
        on_oversize: OnOversize::Close,
    };
    for name in ["c_server", "network", "dead_letters"] {
        assert_eq!(feed.actor(name).unwrap().framing.as_ref(), Some(&framing), "{name}");
    }
    assert_eq!(feed.actor("process").unwrap().framing, None);
}

#[test]
fn a_source_without_a_framing_has_lines() {
    let text = FEED
        .lines()
        .filter(|line| !line.starts_with("framing"))
        .collect::<Vec<_>>()
        .join("\n");
    let feed = Files::new(&[("feed.toml", &text)]).feed(&LoadOptions::default());
    assert_eq!(feed.actor("network").unwrap().framing, Some(FramingConfig::default()));
}

#[test]
fn framings_come_as_hex_and_from_plugins() {
    let text = r#"
        flow = ["a -> c", "b -> d"]
        sources.a = { type = "tcp_client", address = "x", framing = { type = "delimited", delimiter_hex = "0d0A" } }
        sources.b = { type = "tcp_client", address = "x", framing = { type = "legacy", magic = 7, max_frame_bytes = 99 } }
        sinks.c = { type = "blackhole" }
        sinks.d = { type = "blackhole" }
    "#;
    let feed = Files::new(&[("feed.toml", text)]).feed(&LoadOptions::default());
    let Some(FramingConfig::Delimited { delimiter, .. }) = &feed.actor("c").unwrap().framing else {
        panic!("not delimited")
    };
    assert_eq!(delimiter, b"\r\n");
    let custom = FramingConfig::Custom {
        name: "legacy".into(),
        settings: serde_json::json!({ "magic": 7 }),
        max_frame_bytes: 99,
        on_oversize: OnOversize::Discard,
    };
    assert_eq!(feed.actor("d").unwrap().framing, Some(custom));
}

#[test]
fn paths_are_resolved_against_the_files_folder() {
    let files = Files::new(&[("feed.toml", FEED)]);
    let feed = files.feed(&LoadOptions::default());
    let parent = files.0.path().parent().unwrap();
    assert_eq!(feed.folder, files.0.path());
    assert_eq!(
        Path::new(feed.actor("dead_letters").unwrap().settings["path"].as_str().unwrap()),
        parent.join("dead.txt")
    );
}

#[test]
fn loading_creates_nothing() {
    let files = Files::new(&[("feed.toml", FEED)]);
    files.feed(&LoadOptions::default());
    let names: Vec<_> = std::fs::read_dir(files.0.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["feed.toml"]);
}

#[test]
fn yaml_and_json_say_the_same() {
    let tree: serde_json::Value = toml::from_str(FEED).unwrap();
    let json = serde_json::to_string_pretty(&tree).unwrap();
    // JSON is YAML but for its escapes and tabs, so flow style alone would prove little.
    let yaml = r#"
flow:
  - c_server -> drain -> process -> network
  - process.rejected -> dead_letters
sources:
  c_server:
    type: tcp_client
    address: 127.0.0.1:8000
    framing: { type: delimited, delimiter: "\0", max_frame_bytes: 64 KiB, on_oversize: close }
spills:
  drain: { directory: data/feed, max_bytes: 1GB, when_full: drop_oldest, persist: always }
processors:
  process: { type: filter, contains: ERROR, workers: 4 }
sinks:
  network:
    type: tcp_client
    address: 127.0.0.1:9000
    retry: { max: 5s }
  dead_letters:
    type: file
    path: ../dead.txt
"#;
    let files = Files::new(&[("feed.toml", FEED), ("feed.json", &json), ("feed.yaml", yaml)]);
    let expected = files.feed(&LoadOptions::default());
    for name in ["feed.json", "feed.yaml"] {
        let mut pipeline = files
            .load(&[name], &LoadOptions::default())
            .unwrap()
            .pipelines
            .remove(0);
        pipeline.file = expected.file.clone();
        assert_eq!(pipeline, expected, "{name}");
    }
}

#[test]
fn files_that_cannot_be_read_are_mistakes() {
    let files = Files::new(&[("feed.ini", "")]);
    let told: Vec<_> = files
        .load(&["feed.ini", "gone.toml"], &LoadOptions::default())
        .unwrap_err();
    assert_eq!(told[0].message, "unknown kind of file");
    assert!(told[1].message.starts_with("cannot be read: "), "{}", told[1]);
}

#[test]
fn a_byte_order_mark_is_passed_over_in_every_kind_of_file() {
    let bodies = [
        (
            "feed.toml",
            "flow = \"in -> out\"\nsources.in = { type = \"tcp_client\", address = \"a:1\" }\nsinks.out = { type = \"blackhole\" }\n",
        ),
        (
            "feed.yaml",
            "flow: in -> out\nsources: { in: { type: tcp_client, address: \"a:1\" } }\nsinks: { out: { type: blackhole } }\n",
        ),
        (
            "feed.json",
            r#"{"flow":"in -> out","sources":{"in":{"type":"tcp_client","address":"a:1"}},"sinks":{"out":{"type":"blackhole"}}}"#,
        ),
    ];
    for (name, body) in bodies {
        let files = Files::new(&[(name, &format!("\u{feff}{body}"))]);
        let loaded = files.load(&[name], &LoadOptions::default()).unwrap();
        assert_eq!(loaded.pipelines[0].actors.len(), 2, "{name}");
    }
}

#[test]
fn other_encodings_are_refused_with_what_to_do() {
    for name in ["feed.toml", "feed.yaml", "feed.json"] {
        let files = Files::new(&[]);
        let mut told = Vec::new();
        for bytes in [&b"\xff\xfen\0a\0"[..], b"\xfe\xff\0n\0a", b"name = 1\nb = \"\xe9\""] {
            std::fs::write(files.path(name), bytes).unwrap();
            told.push(
                files.load(&[name], &LoadOptions::default()).unwrap_err()[0]
                    .message
                    .clone(),
            );
        }
        assert_eq!(told[..2], ["is UTF-16; save it as UTF-8"; 2], "{name}");
        assert_eq!(
            told[2],
            "is not UTF-8: line 2 has a byte that is no text; save it as UTF-8"
        );
    }
}

#[test]
fn more_connections_than_the_process_may_have_open_are_warned_of_at_the_actor_with_the_most() {
    let text = |name: &str| {
        format!(
            "name = \"{name}\"\nflow = \"in -> drain -> out\"\nsources.in = {{ type = \"tcp_client\", address = \"a:1\" }}\n\
             spills.drain = {{ directory = \"{name}\" }}\nsinks.out = {{ type = \"blackhole\" }}\n"
        )
    };
    let files = Files::new(&[("one.toml", &text("one")), ("two.toml", &text("two"))]);
    let warned = |names: &[&str], open_files| {
        let options = LoadOptions {
            open_files,
            ..LoadOptions::default()
        };
        let mut warnings = files.load(names, &options).unwrap().warnings;
        warnings.retain(|warning| warning.message.contains("files and sockets"));
        warnings
    };
    let of_one = 64 + 1000 + 16 + 2;
    assert_eq!(warned(&["one.toml"], None), []);
    assert_eq!(warned(&["one.toml"], Some(of_one)), []);
    let told = warned(&["one.toml"], Some(of_one - 1));
    assert_eq!(
        (told.len(), told[0].key.as_str(), told[0].line),
        (1, "sources.in", Some(3))
    );
    assert_eq!(
        told[0].message,
        "1000 files and sockets may be open here and 1082 in all, but the process may open 1081 (`ulimit -Hn`): connections past that wait until others are closed"
    );
    // The limit is that of the process, not of each pipeline.
    assert_eq!(warned(&["one.toml", "two.toml"], Some(of_one + 1017)).len(), 1);
    assert_eq!(warned(&["one.toml", "two.toml"], Some(of_one + 1018)), []);
}
