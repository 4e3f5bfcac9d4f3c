//! What comes out of files, overlays, variables and settings.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::catalog::Fake;
use crate::config::{
    FramingConfig, HostConfig, LoadOptions, Loaded, LogFormat, Mistake, Oversize, Persist, PipelineConfig, Role,
    SpillConfig, WhenFull, load,
};
use crate::units::{ByteSize, Period};

const FEED: &str = r#"
flow = ["c_server -> drain -> process -> network", "process.rejected -> dead_letters"]
[sources.c_server]
type = "tcp_client"
address = "127.0.0.1:8000"
framing = { type = "delimited", delimiter = "\u0000", max_frame_bytes = "64 KiB", on_oversize = "close" }
[spills.drain]
directory = "data/feed"
max_bytes = "1GB"
when_full = "drop_oldest"
persist = "always"
[processors.process]
type = "filter"
contains = "ERROR"
workers = 4
[sinks.network]
type = "tcp_client"
address = "127.0.0.1:9000"
retry = { max = "5s" }
[sinks.dead_letters]
type = "file"
path = "../dead.txt"
"#;

/// A folder of config files.
struct Files(TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let files_in = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            std::fs::write(files_in.path(name), text).unwrap();
        }
        files_in
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self, names: &[&str], options: &LoadOptions) -> Result<Loaded, Vec<Mistake>> {
        let files: Vec<PathBuf> = names.iter().map(|name| self.path(name)).collect();
        load(&files, options, &Fake)
    }

    fn feed(&self, options: &LoadOptions) -> PipelineConfig {
        self.load(&["feed.toml"], options).unwrap().pipelines.remove(0)
    }
}

fn feed(options: &LoadOptions) -> PipelineConfig {
    Files::new(&[("feed.toml", FEED)]).feed(options)
}

fn variables(pairs: &[(&str, &str)]) -> LoadOptions {
    let variables = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    LoadOptions {
        variables,
        ..LoadOptions::default()
    }
}

fn settings(texts: &[&str]) -> LoadOptions {
    LoadOptions {
        settings: texts.iter().map(|text| (*text).to_owned()).collect(),
        ..LoadOptions::default()
    }
}

fn address(pipeline: &PipelineConfig) -> &str {
    pipeline.actor("network").unwrap().settings["address"].as_str().unwrap()
}

fn spill(pipeline: &PipelineConfig) -> SpillConfig {
    match &pipeline.actor("drain").unwrap().host {
        HostConfig::Spill(spill) => spill.clone(),
        other => panic!("not a spill store: {other:?}"),
    }
}

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
        on_oversize: Oversize::Close,
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
        on_oversize: Oversize::Discard,
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
fn overlays_then_variables_then_settings_override_the_file() {
    let overlay = "[sinks.network]\naddress = \"overlay:1\"\nretry = { first = \"1s\" }\n";
    let files = Files::new(&[("feed.toml", FEED), ("overlay.toml", overlay)]);
    let mut options = LoadOptions {
        overlays: vec![files.path("overlay.toml").display().to_string()],
        ..LoadOptions::default()
    };
    let feed = files.feed(&options);
    assert_eq!(address(&feed), "overlay:1");
    let HostConfig::Sink(network) = &feed.actor("network").unwrap().host else {
        panic!("not a sink")
    };
    assert_eq!(
        (network.retry.first, network.retry.max),
        (Period::seconds(1), Period::seconds(5)),
        "tables are merged"
    );
    options.variables = variables(&[
        ("AQUEDUCT__SINKS__NETWORK__ADDRESS", "variable:1"),
        ("AQUEDUCT_OTHER", "x"),
    ])
    .variables;
    assert_eq!(address(&files.feed(&options)), "variable:1");
    options.settings = vec!["sinks.network.address=setting:1".into()];
    assert_eq!(address(&files.feed(&options)), "setting:1");
}

#[test]
fn variables_become_what_their_keys_want() {
    let feed = feed(&variables(&[
        ("AQUEDUCT__PROCESSORS__PROCESS__WORKERS", "3"),
        ("AQUEDUCT__PROCESSORS__PROCESS__CONTAINS", "404"),
        ("AQUEDUCT__PROCESSORS__PROCESS__OWN_THREAD", "true"),
        ("AQUEDUCT__SPILLS__DRAIN__MAX_BYTES", "2097152"),
    ]));
    let process = feed.actor("process").unwrap();
    assert_eq!(process.settings["contains"], "404");
    let HostConfig::Processor(host) = &process.host else {
        panic!("not a processor")
    };
    assert_eq!((host.workers.get(), host.own_thread), (3, Some(true)));
    assert_eq!(spill(&feed).max_bytes, ByteSize::mib(2));
}

#[test]
fn settings_are_toml_or_else_text() {
    let feed = feed(&settings(&[
        "processors.process.workers=2",
        "processors.process.contains=plain words",
        "sinks.network.retry={ first = \"3s\" }",
        "feed:spills.drain.persist=\"overflow\"",
    ]));
    let process = feed.actor("process").unwrap();
    assert_eq!(process.settings["contains"], "plain words");
    let HostConfig::Processor(host) = &process.host else {
        panic!("not a processor")
    };
    assert_eq!(host.workers.get(), 2);
    assert_eq!(spill(&feed).persist, Persist::Overflow);
}

#[test]
fn a_mistake_names_the_variable_or_setting_it_came_from() {
    let files = Files::new(&[("feed.toml", FEED)]);
    let mut options = settings(&["processors.process.worker=2"]);
    options.variables = variables(&[("AQUEDUCT__SPILLS__DRAIN__MAX_BYTES", "much")]).variables;
    let told: Vec<_> = files
        .load(&["feed.toml"], &options)
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        told,
        [
            "--set: processors.process.worker: unknown key\n    expected one of: contains, matching, mode, own_thread, type, \
             window_bytes, workers\n    did you mean `workers`?",
            "variable AQUEDUCT__SPILLS__DRAIN__MAX_BYTES: spills.drain.max_bytes: `much` cannot be read\n    \
             expected a size such as \"8 MiB\", or a number of bytes",
        ]
    );
}

#[test]
fn variables_in_text_are_replaced() {
    let text = FEED
        .replace("127.0.0.1:9000", "${HOST:-localhost}:${PORT}")
        .replace("\"ERROR\"", "\"$$5 ${1} ${name} $x ${WORD:?which}\"")
        .replace("workers = 4", "workers = \"${WORKERS}\"");
    let files = Files::new(&[("feed.toml", &text)]);
    let feed = files.feed(&variables(&[
        ("PORT", "9000"),
        ("HOST", ""),
        ("WORD", "ERROR"),
        ("WORKERS", "8"),
    ]));
    assert_eq!(address(&feed), "localhost:9000");
    let process = feed.actor("process").unwrap();
    assert_eq!(process.settings["contains"], "$5 ${1} ${name} $x ERROR");
    let HostConfig::Processor(host) = &process.host else {
        panic!("not a processor")
    };
    assert_eq!(host.workers.get(), 8);
}

#[test]
fn an_overridden_variable_need_not_be_set() {
    let text = FEED.replace("127.0.0.1:9000", "${NETWORK}");
    let files = Files::new(&[("feed.toml", &text)]);
    assert_eq!(
        address(&files.feed(&settings(&["sinks.network.address=here:1"]))),
        "here:1"
    );
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
fn process_settings_come_from_the_only_file_or_from_one_of_their_own() {
    let process = "[log]\nformat = \"json\"\n[admin]\nsocket = \"run/admin.sock\"\n";
    let inside = format!("{FEED}{process}");
    let other = "flow = \"in -> out\"\nsources.in = { type = \"tcp_server\", listen = \"x:1\" }\nsinks.out = { type = \"blackhole\" }";
    let files = Files::new(&[
        ("inside.toml", &inside),
        ("feed.toml", FEED),
        ("other.toml", other),
        ("process.toml", process),
    ]);
    let apart = LoadOptions {
        process: Some(files.path("process.toml")),
        ..settings(&["log.level=debug"])
    };
    let alone = files.load(&["inside.toml"], &settings(&["log.level=debug"])).unwrap();
    let both = files.load(&["feed.toml", "other.toml"], &apart).unwrap();
    assert_eq!(alone.process, both.process);
    assert_eq!(both.process.log.format, LogFormat::Json);
    assert_eq!(both.process.log.level, "debug");
    assert_eq!(both.process.admin.socket, Some(files.path("run/admin.sock")));
}

#[test]
fn with_several_pipelines_settings_say_which() {
    let other = "flow = \"in -> out\"\nsources.in = { type = \"tcp_server\", listen = \"x:1\" }\nsinks.out = { type = \"blackhole\" }";
    let overlay = "sinks.network.address = \"overlay:1\"";
    let files = Files::new(&[("feed.toml", FEED), ("other.toml", other), ("overlay.toml", overlay)]);
    let mut options = settings(&["other:sources.in.listen=y:2"]);
    options.overlays = vec![format!("feed:{}", files.path("overlay.toml").display())];
    let loaded = files.load(&["feed.toml", "other.toml"], &options).unwrap();
    assert_eq!(address(&loaded.pipelines[0]), "overlay:1");
    assert_eq!(loaded.pipelines[1].actor("in").unwrap().settings["listen"], "y:2");

    let told = files.load(
        &["feed.toml", "other.toml"],
        &settings(&["sources.in.listen=y:2", "othr:sources.in.listen=y:2"]),
    );
    let told: Vec<_> = told.unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "--set: sources.in.listen: does not say which of the pipelines it is for\n    expected one of: feed, other",
            "--set: sources.in.listen: no pipeline is called `othr`\n    expected one of: feed, other\n    did you mean `other`?",
        ]
    );
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
