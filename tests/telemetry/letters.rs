//! Dead letters, log lines and `aqueduct trace` name the trace in which a frame was rejected.

use serde_json::Value;

use super::{Collector, MESSAGES};
use crate::harness::{Feeder, Folder, Program, wait_until};

#[test]
fn a_dead_letter_and_the_log_name_the_trace_that_arrived_at_the_collector() {
    assert_traced("sample_ratio = 1.0");
}

#[test]
fn they_name_a_trace_that_was_begun_because_of_the_rejection_too() {
    assert_traced("sample_ratio = 0.0");
}

fn assert_traced(sampling: &str) {
    let (folder, collector) = (Folder::new(), Collector::open());
    // A file stands where the folder of the letters should be: they wait in their store, and on disk over the restart.
    folder.write("out", "");
    let program = folder.run_pipeline(&format!(
        r#"
        name = "p"
        flow = ["c_server -> process -> network", "network.rejected -> letters -> dead_letters"]
        telemetry = {{ endpoint = "{}", {sampling} }}
        log.format = "json"
        sources.c_server = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        spills.letters = {{ directory = "data" }}
        processors.process = {{ type = "filter", contains = "x" }}
        sinks.network = {{ type = "blackhole", framing = {{ type = "length_delimited", header_bytes = 1 }} }}
        sinks.dead_letters = {{ type = "file", path = "out/dead.jsonl", format = "json" }}
        "#,
        collector.endpoint
    ));
    let long = "x".repeat(300);
    let mut feeder = Feeder::connect(address(&program), MESSAGES);
    feeder.send_text(&format!("short x\nfiltered\n{long}\n"));
    program.wait_for("the letter waits", |status| {
        status.number("letters", "waiting_frames") == 1
    });
    let trail = json(&folder.aqueduct(&["trace", "c_server:2", "--json"]).stdout);
    let line = json(program.log.first(&["a frame was rejected"]).as_bytes());
    program.stop();
    let spans = collector.spans();
    let sent = spans.named("send network")[0];
    let trace: Value = hex(&sent.span.trace_id).into();

    std::fs::remove_file(folder.path("out")).unwrap();
    let program = folder.run(&["p.toml"]);
    let letter = wait_until("the letter is written", || {
        serde_json::from_str::<Value>(folder.read("out/dead.jsonl").lines().next()?).ok()
    });
    program.stop();

    let spot = &trail["found"][0];
    assert_eq!((&spot["actor"], &spot["trace_id"]), (&"letters".into(), &trace));
    assert_eq!((&line["source"], &line["seq"]), (&"c_server".into(), &2.into()));
    assert_eq!(line["trace_id"], trace);
    assert_eq!((&letter["source"], &letter["seq"]), (&"c_server".into(), &2.into()));
    assert_eq!(letter["text"], long.as_str());
    let rejected = &letter["rejected"];
    assert_eq!((&rejected["actor"], &rejected["trace_id"]), (&"network".into(), &trace));
    assert!(rejected["time"].as_str().unwrap().ends_with('Z'));
    let reason = rejected["reason"].as_str().unwrap();
    assert!(
        sent.events().contains(&("rejected".into(), reason.into())),
        "{:?}",
        sent.events()
    );
}

/// Where the source listens, from a log in JSON.
fn address(program: &Program) -> std::net::SocketAddr {
    let line = json(program.log.first(&["listening on", "c_server"]).as_bytes());
    let message = line["message"].as_str().unwrap();
    message.rsplit(' ').next().unwrap().parse().unwrap()
}

fn json(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(text)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
