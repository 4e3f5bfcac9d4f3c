//! One message, found by its id in what arrived, wherever it went.

use super::waits::now_ns;
use super::{Collector, MESSAGES, STEPS, Seen, Spans};
use crate::harness::{Destination, Feeder, Folder, Program, Sequence};

/// Exports without pause, so that what was done before a kill has arrived.
const EAGER: [(&str, &str); 1] = [("OTEL_BSP_SCHEDULE_DELAY", "1")];

/// More than `memory_bytes`, so that they are on disk.
const LAST: u64 = 10_000;

/// The spans of this message.
fn of_message<'s>(spans: &'s Spans, id: &str) -> Vec<&'s Seen> {
    let own = spans
        .0
        .iter()
        .filter(|seen| seen.find("messaging.message.id").as_deref() == Some(id));
    own.collect()
}

/// The message's way back from its span `name` to its first, by parents within the same trace. A message that was delivered again after a
/// kill has made some spans twice; its parents tell which of them belong together.
fn way_to<'s>(spans: &'s Spans, id: &str, name: &str) -> Vec<&'s Seen> {
    let own = of_message(spans, id);
    let named: Vec<_> = own.iter().filter(|seen| seen.span.name == name).collect();
    let [last] = named[..] else {
        panic!("{} spans `{name}` of {id}: {own:#?}", named.len())
    };
    let mut way = vec![*last];
    while let Some(parent) = own.iter().find(|seen| seen.span.span_id == way[0].span.parent_span_id) {
        assert_eq!(parent.span.trace_id, last.span.trace_id);
        way.insert(0, parent);
    }
    way
}

fn names(way: &[&Seen]) -> Vec<String> {
    way.iter().map(|seen| seen.span.name.clone()).collect()
}

fn fill(program: &Program) {
    Feeder::connect(program.address_of("c_server"), MESSAGES).send(1..=LAST);
    program.wait_for("all is acknowledged, and waits", |status| {
        status.number("c_server", "settled") == LAST
    });
}

/// Message 4,711 waits on disk while `end` ends the program, and is delivered by the next one.
fn over_a_restart(end: impl FnOnce(Program)) {
    let (folder, collector, id) = (Folder::new(), Collector::open(), "0000004711");
    let config = format!(
        r#"
        name = "p"
        flow = ["c_server -> drain -> process -> network"]
        sources.c_server = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        spills.drain = {{ directory = "data", persist = "always" }}
        processors.process = {{ type = "filter", contains = "0", window_bytes = "64 KiB" }}
        sinks.network = {{ type = "tcp_server", listen = "127.0.0.1:0", window_bytes = "64 KiB" }}
        [telemetry]
        endpoint = {:?}
        messages = {{ id = '^(\d+) ', match = '^0000004711 ' }}
        "#,
        collector.endpoint
    );
    folder.write("p.toml", &config);
    let program = folder.run_in(&EAGER, &["p.toml"]);
    fill(&program);
    collector.wait_for_span("the message was read", |seen| {
        seen.span.name == STEPS[0] && seen.find("messaging.message.id").is_some()
    });
    end(program);
    let ended = now_ns();
    let program = folder.run_in(&EAGER, &["p.toml"]);
    let (sink, mut seen) = (program.address_of("network"), Sequence::default());
    Destination::connect(sink, MESSAGES).take_through(LAST, &mut seen);
    seen.assert_is(1, LAST);
    program.stop();

    let spans = collector.spans();
    let way = way_to(&spans, id, "send network");
    assert_eq!(names(&way), STEPS);
    assert_eq!(way[0].span.parent_span_id, b"");
    let wait = way[1].span.start_time_unix_nano..=way[1].span.end_time_unix_nano;
    assert!(
        wait.contains(&ended),
        "it waited in the store when no program ran: {wait:?} {ended}"
    );
    for (seen, actor) in way.iter().zip(["c_server", "drain", "process", "network"]) {
        assert_eq!(seen.attribute("messaging.destination.name"), actor);
        assert_eq!(seen.attribute("aqueduct.source"), "c_server");
        assert_eq!(seen.number("aqueduct.seq.first"), 4710);
        let batch = spans.link_of(seen);
        assert_eq!(batch.span.name, seen.span.name);
        assert_ne!(batch.span.trace_id, seen.span.trace_id);
        let frames = batch.number("aqueduct.seq.first")..=batch.number("aqueduct.seq.last");
        assert!(frames.contains(&4710), "{frames:?}");
    }
    assert_eq!(way[0].attribute("server.address"), "127.0.0.1");
    assert_ne!(way[0].number("server.port"), 0);
    assert_eq!(way[3].attribute("server.address"), "127.0.0.1");
    assert_ne!(
        way[3].number("server.port"),
        u64::from(sink.port()),
        "the client's, not ours"
    );
    assert_eq!(
        of_message(&spans, "0000004712").len(),
        0,
        "only what matches is followed"
    );
}

#[test]
fn message_4711_is_found_after_it_waited_on_disk_across_a_kill() {
    over_a_restart(Program::kill);
}

#[test]
fn message_4711_is_found_after_it_waited_on_disk_across_an_orderly_restart() {
    over_a_restart(Program::stop);
}

#[test]
fn a_message_s_own_trace_goes_on_through_workers_a_rewrite_and_both_branches() {
    let (folder, collector) = (Folder::new(), Collector::open());
    let program = folder.run_pipeline(&format!(
        r#"
        name = "p"
        flow = ["c_server -> drain -> process -> rewrite -> network", "rewrite -> copy"]
        sources.c_server = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        spills.drain = {{ directory = "data" }}
        processors.process = {{ type = "filter", contains = "order", workers = 3 }}
        processors.rewrite = {{ type = "rewrite", matches = "\"id\"", replace = "\"changed\"" }}
        sinks.network = {{ type = "file", path = "network.txt" }}
        sinks.copy = {{ type = "file", path = "copy.txt" }}
        [telemetry]
        endpoint = {:?}
        sample_ratio = 0
        messages = {{ id = "$.order.id", context = "$.traceparent" }}
        "#,
        collector.endpoint
    ));
    let mut feeder = Feeder::connect(program.address_of("c_server"), MESSAGES);
    let line = |id: &str, flags: &str| {
        let parent = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
        format!("{{\"order\":{{\"id\":\"{id}\"}},\"traceparent\":\"{parent}\"}}\n")
    };
    feeder.send_text(&format!("{}{}no order at all\n", line("o-1", "01"), line("o-2", "00")));
    for sink in ["network", "copy"] {
        program.wait_for("both branches have all", |status| {
            status.number(sink, "frames_out") == 3
        });
    }
    program.stop();
    assert!(folder.read("copy.txt").contains("changed"));
    let spans = collector.spans();
    for sink in ["send network", "send copy"] {
        let way = way_to(&spans, "o-1", sink);
        let steps = [
            "receive c_server",
            "spill drain",
            "process process",
            "process rewrite",
            sink,
        ];
        assert_eq!(names(&way), steps);
        assert_eq!(hex(&way[0].span.parent_span_id), "b7ad6b7169203331");
        assert_eq!(hex(&way[0].span.trace_id), "0af7651916cd43dd8448eb211c80319c");
    }
    assert_eq!(
        spans.0.len(),
        6,
        "no batch is sampled, and o-2 says that it is not recorded"
    );
}

#[test]
fn a_dead_letter_goes_on_in_its_message_s_trace() {
    let (folder, collector) = (Folder::new(), Collector::open());
    let program = folder.run_pipeline(&format!(
        r#"
        name = "p"
        flow = ["c_server -> network", "network.rejected -> dead_letters"]
        sources.c_server = {{ type = "tcp_server", listen = "127.0.0.1:0", framing = {{ type = "delimited" }} }}
        sinks.network = {{ type = "file", path = "network.bin", framing = {{ type = "length_delimited", header_bytes = 1 }} }}
        sinks.dead_letters = {{ type = "file", path = "dead.txt", framing = {{ type = "delimited" }} }}
        [telemetry]
        endpoint = {:?}
        messages = {{ id = '^(\d+) ' }}
        "#,
        collector.endpoint
    ));
    let mut feeder = Feeder::connect(program.address_of("c_server"), MESSAGES);
    feeder.send_text(&format!("17 {}\n18 short\n", "x".repeat(300)));
    program.wait_for("it is a dead letter", |status| {
        status.number("dead_letters", "frames_out") == 1
    });
    program.stop();
    let spans = collector.spans();
    let way = way_to(&spans, "17", "send dead_letters");
    assert_eq!(names(&way), ["receive c_server", "send network", "send dead_letters"]);
    assert_eq!(way[1].attribute("error.type"), "rejected");
    let good = way_to(&spans, "18", "send network");
    assert_eq!(good[1].find("error.type"), None, "its batch failed, it did not");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
