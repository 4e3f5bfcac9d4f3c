//! Spans, as a collector receives them: the real exporter, and a receiver made from the protocol's own definitions.

mod backend;
mod collector;
mod demo;
mod joined;
mod letters;
mod messages;
mod outages;
mod sampling;
mod secrets;
mod spans;
mod transports;
mod waits;

use collector::Collector;
use spans::{Seen, Spans};

use crate::harness::{Destination, Feeder, Folder, Listener, Messages, Program, Sequence};

const MESSAGES: Messages = Messages::SHORT;

/// The steps from socket to socket, by the names of their spans.
const STEPS: [&str; 4] = ["receive c_server", "spill drain", "process process", "send network"];

/// A pipeline of these steps; `telemetry` is the content of its table.
fn pipeline(telemetry: &str) -> String {
    format!(
        r#"
        name = "p"
        flow = ["c_server -> drain -> process -> network"]
        telemetry = {{ {telemetry} }}
        sources.c_server = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        spills.drain = {{ directory = "data", memory_bytes = "64 KiB", memory_age = "1h" }}
        processors.process = {{ type = "filter", contains = "0" }}
        sinks.network = {{ type = "tcp_server", listen = "127.0.0.1:0", acknowledge = "written" }}
        "#
    )
}

/// Both ends of the pipeline.
struct Peers {
    feeder: Feeder,
    destination: Destination,
    seen: Sequence,
}

impl Peers {
    fn of(program: &Program) -> Self {
        Self {
            feeder: Feeder::connect(program.address_of("c_server"), MESSAGES),
            destination: Destination::connect(program.address_of("network"), MESSAGES),
            seen: Sequence::default(),
        }
    }

    /// Sends each message when the one before has arrived, so that every one is a batch of its own.
    fn one_by_one(&mut self, count: u64) {
        for _ in 0..count {
            let number = self.seen.last() + 1;
            self.feeder.send(number..=number);
            self.destination.take_through(number, &mut self.seen);
        }
    }
}

#[test]
fn a_batch_is_one_trace_from_socket_to_socket() {
    let (folder, collector) = (Folder::new(), Collector::open());
    let program = folder.run_pipeline(&pipeline(&format!("endpoint = {:?}", collector.endpoint)));
    program.log.first(&["spans go to", &collector.endpoint]);
    Peers::of(&program).one_by_one(3);
    program.stop();
    let spans = collector.spans();
    let journeys = spans.journeys(STEPS);
    assert_eq!(journeys.len(), 3);
    for (number, journey) in journeys.into_iter().enumerate() {
        for (seen, actor) in journey.into_iter().zip(["c_server", "drain", "process", "network"]) {
            assert_eq!(seen.attribute("messaging.system"), "aqueduct");
            assert_eq!(seen.attribute("messaging.destination.name"), actor);
            assert_eq!(seen.number("messaging.batch.message_count"), 1);
            assert_eq!(seen.attribute("aqueduct.source"), "c_server");
            assert_eq!(seen.number("aqueduct.seq.first"), number as u64);
            assert_eq!(seen.number("aqueduct.seq.last"), number as u64);
            assert_eq!(seen.resource["service.name"], "aqueduct");
            assert_eq!(seen.scope.name, "aqueduct");
            assert_eq!(seen.schema_url, "https://opentelemetry.io/schemas/1.37.0");
        }
    }
}

#[test]
fn a_share_of_the_traces_is_made_and_each_is_whole() {
    let (folder, collector) = (Folder::new(), Collector::open());
    let config = pipeline(&format!("endpoint = {:?}, sample_ratio = 0.5", collector.endpoint));
    let program = folder.run_pipeline(&config);
    Peers::of(&program).one_by_one(200);
    program.stop();
    let traces = collector.spans().journeys(STEPS).len();
    // That none or all of 200 were chosen would happen once in 10^59 runs.
    assert!((1..200).contains(&traces), "{traces} of 200 batches were traced");
}

#[test]
fn the_standard_variables_name_the_collector_and_the_service() {
    let (folder, collector) = (Folder::new(), Collector::open());
    folder.write("p.toml", &pipeline(""));
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str()),
        ("OTEL_SERVICE_NAME", "feed-of-plant-7"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
    ];
    let program = folder.run_in(&environment, &["p.toml"]);
    Peers::of(&program).one_by_one(1);
    program.stop();
    for seen in collector.spans().journeys(STEPS).into_iter().flatten() {
        assert_eq!(seen.resource["service.name"], "feed-of-plant-7");
        assert_eq!(seen.resource["deployment.environment.name"], "test");
    }
    assert_eq!(collector.spans().journeys(STEPS).len(), 1);
}

#[test]
fn the_config_outranks_the_variables_but_for_the_one_that_disables() {
    let (folder, collector, other) = (Folder::new(), Collector::open(), Collector::open());
    let named = format!("endpoint = {:?}, service_name = \"named\"", collector.endpoint);
    folder.write("p.toml", &pipeline(&named));
    let mut environment = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", other.endpoint.as_str()),
        ("OTEL_SERVICE_NAME", "feed-of-plant-7"),
    ];
    let program = folder.run_in(&environment, &["p.toml"]);
    Peers::of(&program).one_by_one(1);
    program.stop();
    let spans = collector.spans();
    assert_eq!(spans.journeys(STEPS)[0][0].resource["service.name"], "named");
    environment.push(("OTEL_SDK_DISABLED", "true"));
    let program = folder.run_in(&environment, &["p.toml"]);
    Peers::of(&program).one_by_one(1);
    program.stop();
    assert_eq!(collector.spans().0.len(), spans.0.len());
    assert!(other.spans().0.is_empty());
}

#[test]
fn a_reset_in_the_middle_of_a_batch_shows_as_a_retry() {
    let (folder, collector, listener) = (Folder::new(), Collector::open(), Listener::open(Some(4096)));
    let program = folder.run_pipeline(&to_a_peer(&collector, &listener, ""));
    let (source, mut seen) = (program.address_of("c_server"), Sequence::default());
    let mut leaving = listener.accept_small(MESSAGES);
    std::thread::scope(|scope| {
        scope.spawn(move || Feeder::connect(source, MESSAGES).send(1..=100_000));
        leaving.take(10, &mut seen);
        program.wait_for("the sender is in the middle of a batch", |status| {
            status.edge("drain -> network").waiting_ns > 0
        });
        leaving.reset();
        listener
            .accept(MESSAGES)
            .take_through(100_000, &mut Sequence::default());
    });
    program.stop();
    let spans = collector.spans();
    let sent = spans.named("send network");
    let retried: Vec<_> = sent.iter().flat_map(|sent| sent.events()).collect();
    assert_eq!(retried.len(), 1, "{retried:?}");
    assert_eq!(retried[0].0, "retry");
    assert_ne!(retried[0].1, "");
}

#[test]
fn a_frame_that_its_framing_refuses_shows_as_rejected() {
    let (folder, collector, listener) = (Folder::new(), Collector::open(), Listener::open(None));
    let framing = ", framing = { type = \"length_delimited\", header_bytes = 1 }";
    let program = folder.run_pipeline(&to_a_peer(&collector, &listener, framing));
    let _destination = listener.accept(MESSAGES);
    let mut feeder = Feeder::connect(program.address_of("c_server"), MESSAGES);
    feeder.send_text(&format!("{}\n", "x".repeat(300)));
    program.wait_for("it is rejected", |status| status.number("network", "rejected") == 1);
    let mut program = program;
    program.terminate();
    program.exit_code();
    let spans: Spans = collector.spans();
    let sent = spans.named("send network");
    assert_eq!(sent[0].attribute("error.type"), "rejected");
    assert_eq!(sent[0].events()[0].0, "rejected");
}

fn to_a_peer(collector: &Collector, listener: &Listener, framing: &str) -> String {
    format!(
        r#"
        name = "p"
        flow = ["c_server -> drain -> network"]
        telemetry.endpoint = "{}"
        sources.c_server = {{ type = "tcp_server", listen = "127.0.0.1:0", framing = {{ type = "delimited" }} }}
        spills.drain = {{ directory = "data" }}
        sinks.network = {{ type = "tcp_client", address = "{}", send_buffer_bytes = "16 KiB"{framing} }}
        "#,
        collector.endpoint,
        listener.address()
    )
}
