//! What overrides what: files, overlays, variables, settings.

use super::files::{FEED, Files, address, feed, settings, spill, variables};
use crate::config::{HostConfig, LoadOptions, LogFormat, Persist};
use crate::units::{ByteSize, Period};

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
