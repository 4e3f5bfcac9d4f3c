//! The spans of actors and plugins, and what is not traced.

use std::sync::{Arc, Mutex};

use opentelemetry::trace::{Status, TracerProvider};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tracing_subscriber::prelude::*;

use super::{MESSAGE_ID, MESSAGE_TRACEPARENT, Meters, Spans, Tracer};
use crate::batch::Batch;
use crate::error::Error;
use crate::receipt::Receipt;
use crate::testing::batch;

#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Kept {
    async fn export(&self, spans: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(spans);
        Ok(())
    }
}

/// What was made while `act` ran, in the order of the spans' ends, with this `[telemetry]` table.
fn spans(telemetry: &str, act: impl FnOnce(&Tracer, &Meters)) -> Vec<SpanData> {
    let kept = Kept::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(kept.clone()).build();
    let spans = Spans::new(provider.tracer("test"), &toml::from_str(telemetry).unwrap());
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let meters = Meters::default();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let tracer = Tracer::new("actor", &spans).placed(&meters, Some("drain"), Vec::new());
        act(&tracer, &meters);
    });
    kept.0.lock().unwrap().clone()
}

fn names(spans: &[SpanData]) -> Vec<&str> {
    spans.iter().map(|span| &*span.name).collect()
}

fn text(span: &SpanData, key: &str) -> Option<String> {
    let mut attributes = span.attributes.iter();
    let found = attributes.find(|own| own.key.as_str() == key)?;
    Some(found.value.as_str().into_owned())
}

fn one(frames: &[&str]) -> Batch {
    batch(frames, 0, Receipt::none())
}

#[test]
fn a_plugin_s_span_is_a_child_of_its_actor_s() {
    let made = spans("", |tracer, _| {
        let mut batch = one(&["a"]);
        tracer.receive(&mut batch);
        let open = tracer.process(&mut batch);
        drop(batch.frame(0).child_span("lookup"));
        drop(open);
    });
    assert_eq!(names(&made), ["receive actor", "lookup", "process actor"]);
    let [receive, lookup, process] = &made[..] else {
        panic!("three spans")
    };
    assert_eq!(process.parent_span_id, receive.span_context.span_id());
    assert_eq!(lookup.parent_span_id, process.span_context.span_id());
    assert_eq!(lookup.span_context.trace_id(), receive.span_context.trace_id());
}

#[test]
fn a_batch_made_elsewhere_goes_on_in_its_trace_and_in_a_linked_one_when_it_is_old() {
    for (received_ns, parted) in [(super::now_ns(), false), (1, true)] {
        let made = spans("sample_ratio = 0", |tracer, _| {
            let mut batch = one(&["a"]);
            batch.received_ns = received_ns;
            batch.trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
                .parse::<super::Traceparent>()
                .ok()
                .map(Into::into);
            tracer.forward(&mut batch);
        });
        let [receive] = &made[..] else { panic!("one span") };
        let brought = "0af7651916cd43dd8448eb211c80319c";
        assert_eq!(receive.name, "receive actor");
        assert_eq!(receive.span_context.trace_id().to_string() == brought, !parted);
        let links: Vec<_> = receive.links.iter().collect();
        let linked = links.iter().map(|link| link.span_context.trace_id().to_string());
        assert_eq!(linked.collect::<Vec<_>>(), if parted { vec![brought] } else { vec![] });
    }
}

#[test]
fn a_batch_that_was_not_chosen_makes_no_span_while_all_goes_well() {
    let made = spans("sample_ratio = 0", |tracer, _| {
        let mut batch = one(&["a"]);
        tracer.receive(&mut batch);
        tracer.arrived(&mut batch, super::now_ns());
        tracer.waited(&mut batch);
        let mut work = tracer.process(&mut batch);
        work.retried(tracer, &batch, &Error::rejected("x"));
        drop(batch.frame(0).child_span("lookup"));
        assert_eq!(batch.trace, None);
    });
    assert!(made.is_empty(), "{made:?}");
}

#[test]
fn a_batch_in_trouble_is_traced_after_the_fact() {
    let trouble = |act: fn(&Tracer, &Batch, &mut super::WorkSpan)| {
        spans("sample_ratio = 0\nalways.retries = 1", |tracer, _| {
            let mut batch = one(&["a", "b"]);
            tracer.receive(&mut batch);
            batch.received_ns = 1_000;
            tracer.arrived(&mut batch, 2_000);
            batch.wait.until_ns = 3_000;
            let mut work = tracer.process(&mut batch);
            act(tracer, &batch, &mut work);
            batch.trace = work.trace(&batch);
            drop(work);
            drop(tracer.send(&mut batch));
        })
    };
    let rejected = trouble(|tracer, batch, work| work.rejected(tracer, batch, 1, "no good"));
    let retried = trouble(|tracer, batch, work| work.tried(tracer, batch, 2));
    for made in [&rejected, &retried] {
        assert_eq!(
            names(made),
            ["receive test", "spill drain", "process actor", "send actor"]
        );
        for pair in made.windows(2) {
            assert_eq!(pair[1].parent_span_id, pair[0].span_context.span_id());
            assert_eq!(pair[1].span_context.trace_id(), pair[0].span_context.trace_id());
        }
        let nanoseconds = |time: std::time::SystemTime| time.duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
        let times = |span: &SpanData| (nanoseconds(span.start_time), nanoseconds(span.end_time));
        assert_eq!([times(&made[0]), times(&made[1])], [(1_000, 2_000), (2_000, 3_000)]);
    }
    assert_eq!(text(&rejected[2], "error.type").as_deref(), Some("rejected"));
    assert_eq!(rejected[2].status, Status::error("no good"));
    assert_eq!(text(&retried[2], "aqueduct.retries").as_deref(), Some("2"));
}

#[test]
fn a_retry_within_the_limit_is_no_reason() {
    let made = spans("sample_ratio = 0\nalways.retries = 2", |tracer, _| {
        let mut batch = one(&["a"]);
        tracer.process(&mut batch).tried(tracer, &batch, 2);
    });
    assert!(made.is_empty(), "{made:?}");
}

#[test]
fn a_long_wait_is_traced_after_the_fact() {
    let made = spans("sample_ratio = 0\nalways.waited = '1s'", |tracer, _| {
        for waited_ns in [500_000_000, 2_000_000_000] {
            let mut batch = one(&["a"]);
            tracer.arrived(&mut batch, super::now_ns() - waited_ns);
            tracer.waited(&mut batch);
            drop(tracer.send(&mut batch));
        }
    });
    assert_eq!(names(&made), ["receive test", "spill drain", "send actor"]);
}

#[test]
fn late_traces_have_a_bound_and_those_past_it_are_counted() {
    let made = spans("sample_ratio = 0\nalways.max_per_second = 2", |tracer, meters| {
        for _ in 0..5 {
            let mut batch = one(&["a"]);
            batch.received_ns = super::now_ns();
            tracer.process(&mut batch).rejected(tracer, &batch, 0, "no good");
        }
        assert_eq!(meters.counter("late_traces_not_made").get(), 3);
    });
    assert_eq!(made.len(), 2 * 2);
}

#[test]
fn a_followed_message_has_a_trace_of_its_own_linked_to_its_batch() {
    let made = spans("[messages]\nid = 'id=(\\d+)'", |tracer, _| {
        let mut batch = one(&["id=1", "none", "id=3"]);
        tracer.receive(&mut batch);
        assert_eq!(batch.frame(2).attribute(MESSAGE_ID), Some("3"));
        assert_eq!(batch.frame(1).attribute(MESSAGE_TRACEPARENT), None);
        let mut work = tracer.process(&mut batch);
        work.rejected(tracer, &batch, 2, "no good");
        drop(batch.frame(2).child_span("lookup"));
    });
    let with_id = |id: &str| -> Vec<_> {
        let own = made
            .iter()
            .filter(|span| text(span, "messaging.message.id").as_deref() == Some(id));
        own.collect()
    };
    for id in ["1", "3"] {
        let [receive, process] = with_id(id)[..] else {
            panic!("two spans of {id}")
        };
        assert_eq!((&*receive.name, &*process.name), ("receive actor", "process actor"));
        assert_eq!(process.parent_span_id, receive.span_context.span_id());
        let batch = made
            .iter()
            .find(|span| text(span, "messaging.batch.message_count").is_some());
        let batch = batch.unwrap();
        assert_eq!(
            receive.links.links[0].span_context.span_id(),
            batch.span_context.span_id()
        );
        assert_ne!(receive.span_context.trace_id(), batch.span_context.trace_id());
        let rejected = text(process, "error.type").is_some();
        assert_eq!(rejected, id == "3", "only the frame that was rejected failed");
    }
    let lookup = made.iter().find(|span| span.name == "lookup").unwrap();
    assert_eq!(lookup.parent_span_id, with_id("3")[1].span_context.span_id());
}

#[test]
fn a_frame_s_own_trace_goes_on_unless_it_is_not_recorded() {
    let telemetry = "sample_ratio = 0\n[messages]\nid = 'id=(\\d+)'\ncontext = 'tp=(\\S+)'";
    let made = spans(telemetry, |tracer, _| {
        let mut batch = one(&[
            "id=1 tp=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "id=2 tp=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
            "id=3 tp=garbage",
        ]);
        tracer.receive(&mut batch);
    });
    let ids: Vec<_> = made
        .iter()
        .filter_map(|span| text(span, "messaging.message.id"))
        .collect();
    assert_eq!(ids, ["1", "3"]);
    assert_eq!(made[0].parent_span_id.to_string(), "b7ad6b7169203331");
    assert_eq!(
        made[0].span_context.trace_id().to_string(),
        "0af7651916cd43dd8448eb211c80319c"
    );
    assert_ne!(made[1].span_context.trace_id(), made[0].span_context.trace_id());
    assert!(made[0].links.links.is_empty(), "the batch is not traced");
}

#[test]
fn choosing_messages_has_two_bounds() {
    let receive = |bounds: &str| {
        let telemetry = format!("sample_ratio = 0\n[messages]\nid = 'id=(\\d+)'\n{bounds}");
        let mut left = 0;
        let made = spans(&telemetry, |tracer, meters| {
            let frames: Vec<_> = (0..100).map(|number| format!("id={number}")).collect();
            let mut batch = batch(&frames, 0, Receipt::none());
            tracer.receive(&mut batch);
            left = meters.counter("messages_not_examined").get();
        });
        (made.len(), left)
    };
    assert_eq!(receive("max_per_second = 7"), (7, 93));
    assert_eq!(receive("max_examined_per_second = 20"), (20, 80));
}

#[test]
fn a_long_wait_splits_the_trace_of_a_message_too() {
    let made = spans("split_after = '1ns'\n[messages]\nid = '(.+)'", |tracer, _| {
        let mut batch = one(&["a"]);
        tracer.receive(&mut batch);
        tracer.arrived(&mut batch, 1);
        tracer.waited(&mut batch);
    });
    let message: Vec<_> = made
        .iter()
        .filter(|span| text(span, "messaging.message.id").is_some())
        .collect();
    let [receive, spill] = message[..] else {
        panic!("two spans of the message")
    };
    assert_eq!(spill.name, "spill actor");
    assert_ne!(spill.span_context.trace_id(), receive.span_context.trace_id());
    let links: Vec<_> = spill
        .links
        .links
        .iter()
        .map(|link| link.span_context.span_id())
        .collect();
    assert!(
        links.contains(&receive.span_context.span_id()),
        "linked to the one before"
    );
    assert_eq!(links.len(), 2, "and to its batch's");
}

#[test]
fn what_comes_of_several_batches_is_linked_to_them_within_a_bound() {
    let made = spans("", |tracer, _| {
        let mut last = one(&["last"]);
        tracer.receive(&mut last);
        let mut work = tracer.process(&mut last);
        for _ in 0..200 {
            let mut held = one(&["held"]);
            tracer.receive(&mut held);
            work.joined(held.trace);
        }
    });
    let process = made.iter().find(|span| span.name == "process actor").unwrap();
    assert_eq!((process.links.links.len(), process.links.dropped_count), (128, 72));
    let linked = process.links.links[0].span_context.span_id();
    assert!(made.iter().any(|span| span.span_context.span_id() == linked));
}
