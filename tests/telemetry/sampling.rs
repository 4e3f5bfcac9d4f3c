//! Which traces are made: so many per second, and those of batches in trouble. And what else spans tell: pressure.

use super::{Collector, MESSAGES, Peers, Seen, Spans, pipeline, to_a_peer};
use crate::harness::{Destination, Feeder, Folder, Listener, Sequence};

/// The spans from the one of this name back to the first, by their parents.
fn way_to<'s>(spans: &'s Spans, name: &str) -> Vec<&'s Seen> {
    let mut way = vec![spans.named(name)[0]];
    while !way[0].span.parent_span_id.is_empty() {
        way.insert(0, spans.parent(&way[0].span));
    }
    way
}

fn names(way: &[&Seen]) -> Vec<String> {
    way.iter().map(|seen| seen.span.name.clone()).collect()
}

#[test]
fn a_source_begins_no_more_traces_a_second_than_it_may() {
    let (folder, collector) = (Folder::new(), Collector::open());
    let telemetry = format!("endpoint = {:?}, max_traces_per_second = 1", collector.endpoint);
    let program = folder.run_pipeline(&pipeline(&telemetry));
    Peers::of(&program).one_by_one(500);
    program.stop();
    let traces = collector.spans().journeys(super::STEPS).len();
    // One at the start and one a second: 500 would take longer than any test may.
    assert!((1..500).contains(&traces), "{traces} traces");
}

#[test]
fn a_rejected_frame_is_traced_though_nothing_is_sampled() {
    let (folder, collector, listener) = (Folder::new(), Collector::open(), Listener::open(None));
    let framing = ", framing = { type = \"length_delimited\", header_bytes = 1 }";
    let config = to_a_peer(&collector, &listener, framing) + "telemetry.sample_ratio = 0\n";
    let program = folder.run_pipeline(&config);
    let _destination = listener.accept(MESSAGES);
    let mut feeder = Feeder::connect(program.address_of("c_server"), MESSAGES);
    feeder.send_text(&format!("{}\n", "x".repeat(300)));
    program.wait_for("it is rejected", |status| status.number("network", "rejected") == 1);
    let mut program = program;
    program.terminate();
    program.exit_code();
    let spans = collector.spans();
    let way = way_to(&spans, "send network");
    assert_eq!(names(&way), ["receive c_server", "spill drain", "send network"]);
    assert_eq!(spans.0.len(), 3);
    assert_eq!(way[2].attribute("error.type"), "rejected");
    let times = way
        .iter()
        .flat_map(|seen| [seen.span.start_time_unix_nano, seen.span.end_time_unix_nano]);
    assert!(
        times.is_sorted(),
        "each step begins when the one before has ended: {way:#?}"
    );
}

#[test]
fn a_batch_that_is_retried_too_often_is_traced_though_nothing_is_sampled() {
    let (folder, collector, listener) = (Folder::new(), Collector::open(), Listener::open(Some(4096)));
    let config = to_a_peer(&collector, &listener, ", retry = { first = \"1ms\", max = \"5ms\" }");
    let config = config + "telemetry.sample_ratio = 0\ntelemetry.always.retries = 2\n";
    let program = folder.run_pipeline(&config);
    let (source, mut seen) = (program.address_of("c_server"), Sequence::default());
    let mut leaving = listener.accept_small(MESSAGES);
    std::thread::scope(|scope| {
        scope.spawn(move || Feeder::connect(source, MESSAGES).send(1..=100_000));
        leaving.take(10, &mut seen);
        program.wait_for("the sender is in the middle of a batch", |status| {
            status.edge("drain -> network").waiting_ns > 0
        });
        let address = listener.address();
        drop(listener);
        leaving.reset();
        program.wait_for("it was tried again and again", |status| {
            status.number("network", "retries") > 5
        });
        Listener::on(address, None)
            .accept(MESSAGES)
            .take_through(100_000, &mut Sequence::default());
    });
    program.stop();
    let spans = collector.spans();
    let way = way_to(&spans, "send network");
    assert_eq!(names(&way), ["receive c_server", "spill drain", "send network"]);
    assert!(way[2].number("aqueduct.retries") > 2);
    assert_eq!(spans.0.len(), 3, "the other batches had no trouble");
}

#[test]
fn a_long_wait_is_traced_though_nothing_is_sampled_and_so_is_what_comes_after() {
    let (folder, collector) = (Folder::new(), Collector::open());
    let telemetry = format!(
        "endpoint = {:?}, sample_ratio = 0, always = {{ waited = \"1ns\" }}",
        collector.endpoint
    );
    let program = folder.run_pipeline(&pipeline(&telemetry));
    Peers::of(&program).one_by_one(3);
    program.stop();
    assert_eq!(collector.spans().journeys(super::STEPS).len(), 3);
}

#[test]
fn pressure_shows_on_the_spans_that_suffer_from_it() {
    let (folder, collector) = (Folder::new(), Collector::open());
    let config = format!(
        r#"
        name = "p"
        flow = ["c_server -> drain -> network"]
        telemetry.endpoint = {:?}
        sources.c_server = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        spills.drain = {{ directory = "data", memory_bytes = "64 KiB" }}
        sinks.network = {{ type = "tcp_server", listen = "127.0.0.1:0", window_bytes = "4 KiB" }}
        "#,
        collector.endpoint
    );
    let program = folder.run_pipeline(&config);
    let mut feeder = Feeder::connect(program.address_of("c_server"), MESSAGES);
    feeder.send(1..=5_000);
    program.wait_for("the store writes to disk, and its edge is blocked", |status| {
        status.number("drain", "spilling") == 1 && status.edge("drain -> network").waiting_ns > 1_500_000_000
    });
    feeder.send(5_001..=5_001);
    program.wait_for("it is read", |status| status.number("c_server", "frames_in") == 5_001);
    Destination::connect(program.address_of("network"), MESSAGES).take_through(5_001, &mut Sequence::default());
    program.stop();
    let spans = collector.spans();
    let pressure = |name: &str| -> Vec<_> {
        let named = spans.named(name).into_iter();
        let events = named.flat_map(|seen| seen.events_named("pressure"));
        let told = events.map(|event| (event["aqueduct.edge"].clone(), event["aqueduct.pressure"].clone()));
        told.collect()
    };
    let waiting = ("drain -> network".to_owned(), "blocked".to_owned());
    assert!(pressure("spill drain").contains(&waiting), "{spans:#?}");
    let spilling = ("c_server -> drain".to_owned(), "spilling".to_owned());
    assert!(pressure("receive c_server").contains(&spilling), "{spans:#?}");
}

#[test]
fn a_dead_letter_carries_on_the_trace_that_its_rejection_has_made() {
    let (folder, collector) = (Folder::new(), Collector::open());
    let program = folder.run_pipeline(&format!(
        r#"
        name = "p"
        flow = ["c_server -> check -> network", "check.rejected -> dead_letters"]
        telemetry = {{ endpoint = {:?}, sample_ratio = 0 }}
        sources.c_server = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        processors.check = {{ type = "verify", on_error = "reject" }}
        sinks.network = {{ type = "blackhole" }}
        sinks.dead_letters = {{ type = "file", path = "dead.txt" }}
        "#,
        collector.endpoint
    ));
    let mut feeder = Feeder::connect(program.address_of("c_server"), MESSAGES);
    feeder.send_text("no number\n");
    program.wait_for("it is a dead letter", |status| {
        status.number("dead_letters", "frames_out") == 1
    });
    program.stop();
    let spans = collector.spans();
    let way = way_to(&spans, "send dead_letters");
    assert_eq!(names(&way), ["receive c_server", "process check", "send dead_letters"]);
    assert_eq!(way[1].attribute("error.type"), "rejected");
}
