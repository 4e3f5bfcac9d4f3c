//! Every number of a config at its edge: what makes no sense is refused with a sentence, what is refused nowhere runs.

use crate::harness::Folder;

/// A pipeline of these actors, each with its options, and of a store where `store` has any.
fn config(source: &str, processor: &str, store: &str, sink: &str) -> String {
    let mut text = "name = \"p\"\n".to_owned();
    let mut flow = vec!["in"];
    text += &format!("sources.in = {{ {source} }}\n");
    if !processor.is_empty() {
        flow.push("between");
        text += &format!("processors.between = {{ {processor} }}\n");
    }
    if !store.is_empty() {
        flow.push("store");
        text += &format!("spills.store = {{ directory = \"data\", {store} }}\n");
    }
    flow.push("out");
    format!("{text}sinks.out = {{ {sink} }}\nflow = [\"{}\"]\n", flow.join(" -> "))
}

const FEW: &str = r#"type = "generate", count = 50"#;
const NOWHERE: &str = r#"type = "blackhole""#;
const SOURCE: &str = r#"type = "tcp_server", listen = "127.0.0.1:0""#;
const DIALLED: &str = r#"type = "tcp_client", address = "127.0.0.1:1""#;

/// Where an option stands.
#[derive(Clone, Copy)]
enum At {
    Source(&'static str),
    Processor(&'static str),
    Store,
    Sink(&'static str),
}

fn with(at: At, option: &str) -> String {
    match at {
        At::Source(plugin) => config(&format!("{plugin}, {option}"), "", "", NOWHERE),
        At::Processor(plugin) => config(FEW, &format!("{plugin}, {option}"), "", NOWHERE),
        At::Store => config(FEW, "", option, NOWHERE),
        At::Sink(plugin) => config(FEW, "", "", &format!("{plugin}, {option}")),
    }
}

const THROTTLE: At = At::Processor(r#"type = "throttle", frames_per_second = 1000"#);
const VERIFY: At = At::Processor(r#"type = "verify""#);
const FILTER: At = At::Processor(r#"type = "filter", contains = "0""#);

/// A number just past its edge, and what is said of it.
const REFUSED: &[(At, &str, &str)] = &[
    (
        At::Processor(r#"type = "delay""#),
        r#"per_frame = "0s""#,
        "set `per_frame` or `per_batch`",
    ),
    (
        At::Processor(r#"type = "delay""#),
        r#"per_batch = "101years""#,
        "at most 100years",
    ),
    (
        At::Processor(r#"type = "throttle""#),
        "frames_per_second = 0",
        "expected at least 1",
    ),
    (
        At::Processor(r#"type = "throttle""#),
        "bytes_per_second = 0",
        "expected at least 1 B",
    ),
    (THROTTLE, "burst = 0", "expected at least 1 B"),
    (THROTTLE, r#"burst = "2 EiB""#, "to 1 EiB"),
    (VERIFY, "remember = 0", "expected at least 1"),
    (VERIFY, "field = -1", "expected at least 0"),
    (VERIFY, r#"report_every = "0s""#, "expected at least 1ms"),
    (VERIFY, r#"report_every = "999us""#, "expected at least 1ms"),
    (FILTER, "workers = 0", "expected 1 to 1024"),
    (FILTER, "workers = 1025", "expected 1 to 1024"),
    (FILTER, r#"window_bytes = "4095 B""#, "expected at least 4 KiB"),
    (FILTER, r#"window_bytes = "18446744073709551616 B""#, "1 EiB"),
    (
        At::Source(r#"type = "generate""#),
        "bytes = 19",
        "expected 20 B to 16 MiB",
    ),
    (
        At::Source(r#"type = "generate""#),
        r#"bytes = "16777217 B""#,
        "expected 20 B to 16 MiB",
    ),
    (At::Source(r#"type = "generate""#), "rate = -1", "rate"),
    (At::Source(SOURCE), r#"idle_timeout = "0s""#, "expected at least 1ms"),
    (At::Source(SOURCE), "max_connections = 0", "expected at least 1"),
    (
        At::Source(SOURCE),
        r#"keepalive = "32768s""#,
        "expected at most 9h 6m 7s",
    ),
    (At::Source(SOURCE), "receive_buffer_bytes = 0", "expected at least 1 B"),
    (
        At::Source(DIALLED),
        r#"connect_timeout = "0s""#,
        "expected at least 1ms",
    ),
    (At::Source(DIALLED), r#"idle_timeout = "0s""#, "expected at least 1ms"),
    (At::Source(DIALLED), "turn_bytes = 4095", "expected at least 4 KiB"),
    (At::Sink(DIALLED), r#"connect_timeout = "0s""#, "expected at least 1ms"),
    (
        At::Sink(DIALLED),
        r#"retry = { first = "0s" }"#,
        "expected at least 1ms",
    ),
    (At::Sink(DIALLED), r#"retry = { max = "0s" }"#, "expected at least 1ms"),
    (At::Sink(DIALLED), "retry = { multiplier = 0.9 }", "expected 1 to 100"),
    (At::Sink(DIALLED), "retry = { jitter = 1.1 }", "expected 0 to 1"),
    (At::Sink(DIALLED), r#"keepalive = "10h""#, "expected at most 9h 6m 7s"),
    (At::Sink(DIALLED), r#"max_connection_age = "999ms""#, "1s or more"),
    (At::Sink(SOURCE), r#"stall_timeout = "0s""#, "expected at least 1ms"),
    (
        At::Sink(r#"type = "file", path = "got""#),
        r#"rotate_every = "0s""#,
        "expected at least 1ms",
    ),
    (
        At::Sink(r#"type = "file", path = "got""#),
        "rotate_bytes = 0",
        "expected at least 1 B",
    ),
    (
        At::Sink(r#"type = "file", path = "got""#),
        "keep = 0",
        "expected at least 1",
    ),
    (At::Store, r#"memory_bytes = "2 EiB""#, "to 1 EiB"),
    (At::Store, r#"max_bytes = "1048575 B""#, "expected at least 1 MiB"),
    (At::Store, r#"memory_age = "1000years""#, "at most 100years"),
    (At::Store, "max_cursors = 501", "expected 1 to 500"),
];

#[test]
fn a_number_past_its_edge_is_refused_with_a_sentence() {
    let folder = Folder::new();
    for (at, option, sentence) in REFUSED {
        folder.write("p.toml", &with(*at, option));
        let check = folder.aqueduct(&["check", "p.toml"]);
        let told = String::from_utf8_lossy(&check.stderr);
        assert_eq!(check.status.code(), Some(2), "{option}: {told}");
        assert!(told.contains(sentence), "{option}: {told}");
    }
}

/// A number at its edge, with which 50 frames go through at once. Some of these once overflowed: a panic, or a thread that never ended.
const ACCEPTED: &[(At, &str)] = &[
    (
        At::Processor(r#"type = "delay", blocking = false"#),
        r#"per_frame = "1ns""#,
    ),
    (
        At::Processor(r#"type = "throttle""#),
        "frames_per_second = 9223372036854775807",
    ),
    (At::Processor(r#"type = "throttle""#), r#"bytes_per_second = "1 EiB""#),
    (THROTTLE, "burst = 1"),
    (THROTTLE, r#"burst = "1 EiB""#),
    (VERIFY, "remember = 1"),
    (VERIFY, "remember = 9223372036854775807"),
    (VERIFY, r#"report_every = "1ms""#),
    (VERIFY, r#"report_every = "100years""#),
    (FILTER, r#"window_bytes = "4 KiB""#),
    (FILTER, r#"window_bytes = "1 EiB""#),
    (At::Source(r#"type = "generate", count = 50"#), r#"bytes = "20 B""#),
    (At::Source(r#"type = "generate", count = 50"#), r#"bytes = "64 KiB""#),
    (
        At::Source(r#"type = "generate", count = 50"#),
        "from = 9223372036854775807",
    ),
    (At::Source(r#"type = "generate", count = 50"#), "rate = 1e300"),
    (At::Source(r#"type = "generate""#), "count = 0"),
    (At::Sink(r#"type = "file", path = "got""#), "rotate_bytes = 1"),
    (
        At::Sink(r#"type = "file", path = "got""#),
        r#"rotate_every = "1ms", keep = 1"#,
    ),
    (
        At::Sink(r#"type = "file", path = "got""#),
        r#"rotate_every = "100years", rotate_bytes = "1 EiB", keep = 9223372036854775807"#,
    ),
    (
        At::Sink(NOWHERE),
        r#"window_bytes = "1 EiB", drain_deadline = "100years""#,
    ),
    (At::Store, r#"memory_bytes = "4 KiB""#),
    (At::Store, r#"memory_bytes = "1 EiB", commit_bytes = "1 EiB""#),
    (At::Store, r#"max_bytes = "1 EiB", segment_bytes = "1 EiB""#),
    (At::Store, r#"memory_age = "0s", commit_delay = "0s""#),
    (At::Store, r#"memory_age = "100years", commit_delay = "100years""#),
    (
        At::Store,
        r#"in_flight_bytes = "1 EiB", read_ahead_bytes = "1 EiB", quarantine_bytes = "1 EiB""#,
    ),
    (At::Store, r#"quarantine_bytes = "0 B""#),
];

#[test]
fn frames_go_through_with_every_number_at_its_edge() {
    for (at, option) in ACCEPTED {
        let folder = Folder::new();
        folder.write("p.toml", &with(*at, option));
        let run = folder.aqueduct(&["run", "p.toml"]);
        let log = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(0), "{option}: {log}");
        assert!(log.contains("ended") && log.contains("lost=0 "), "{option}: {log}");
        assert!(!log.contains("ERROR"), "{option}: {log}");
    }
}
