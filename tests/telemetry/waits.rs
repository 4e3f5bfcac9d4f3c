//! Spans of batches that waited: in memory, on disk, from one process to the next.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{Collector, MESSAGES};
use crate::harness::{Destination, Feeder, Folder, Program, Sequence};

/// More than `memory_bytes`, so that they are on disk.
const LAST: u64 = 5_000;

/// The processor stands in front of the store, because one behind it would take a window of frames out of it.
const STEPS: [&str; 4] = ["receive c_server", "process process", "spill drain", "send network"];

fn pipeline(telemetry: &str) -> String {
    let flow = "c_server -> process -> drain -> network";
    super::pipeline(telemetry).replace("c_server -> drain -> process -> network", flow)
}

fn fill(program: &Program) {
    Feeder::connect(program.address_of("c_server"), MESSAGES).send(1..=LAST);
    program.wait_for("all is taken in, and on disk", |status| {
        status.number("drain", "waiting_frames") == LAST && status.number("drain", "spilling") == 1
    });
}

fn take(program: &Program) {
    let mut seen = Sequence::default();
    Destination::connect(program.address_of("network"), MESSAGES).take_through(LAST, &mut seen);
    seen.assert_is(1, LAST);
}

pub(super) fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}

#[test]
fn a_batch_that_waited_on_disk_keeps_its_trace_and_shows_how_long_it_waited() {
    let (folder, collector) = (Folder::new(), Collector::open());
    let program = folder.run_pipeline(&pipeline(&format!("endpoint = {:?}", collector.endpoint)));
    fill(&program);
    let filled = now_ns();
    take(&program);
    program.stop();
    assert_waits_span(&collector, filled);
}

#[test]
fn a_batch_keeps_its_trace_over_a_restart() {
    let (folder, collector) = (Folder::new(), Collector::open());
    let program = folder.run_pipeline(&pipeline(&format!("endpoint = {:?}", collector.endpoint)));
    fill(&program);
    program.stop();
    let ended = now_ns();
    assert!(
        collector.spans().named("spill drain").is_empty(),
        "nothing was handed down"
    );
    let program = folder.run(&["p.toml"]);
    take(&program);
    program.stop();
    assert_waits_span(&collector, ended);
}

/// Every batch was in the store at that moment, and its frames went on in its trace.
fn assert_waits_span(collector: &Collector, moment_ns: u64) {
    let spans = collector.spans();
    let journeys = spans.journeys(STEPS);
    for [_, processed, waited, sent] in &journeys {
        let wait = waited.span.start_time_unix_nano..=waited.span.end_time_unix_nano;
        assert!(wait.contains(&moment_ns), "{wait:?} {moment_ns}");
        assert!(processed.span.start_time_unix_nano <= *wait.start());
        assert!(*wait.end() <= sent.span.start_time_unix_nano);
    }
    let frames = journeys
        .iter()
        .map(|journey| journey[3].number("messaging.batch.message_count"));
    assert_eq!(frames.sum::<u64>(), LAST);
}

#[test]
fn a_long_wait_begins_a_trace_that_is_linked_to_the_one_before() {
    let (folder, collector) = (Folder::new(), Collector::open());
    let telemetry = format!("endpoint = {:?}, split_after = \"1ns\"", collector.endpoint);
    let program = folder.run_pipeline(&pipeline(&telemetry));
    fill(&program);
    take(&program);
    program.stop();
    let spans = collector.spans();
    let processed = spans.named("process process");
    for waited in spans.named("spill drain") {
        assert_eq!(waited.span.parent_span_id, b"");
        let [link] = &waited.span.links[..] else {
            panic!("one link: {waited:?}")
        };
        let before = processed
            .iter()
            .find(|processed| processed.span.span_id == link.span_id)
            .unwrap();
        assert_eq!(before.span.trace_id, link.trace_id);
        assert_ne!(before.span.trace_id, waited.span.trace_id);
        assert!(
            spans
                .named("send network")
                .iter()
                .any(|sent| sent.span.trace_id == waited.span.trace_id)
        );
    }
    assert!(!spans.named("spill drain").is_empty());
}
