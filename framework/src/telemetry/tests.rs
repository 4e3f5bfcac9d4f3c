//! Spans of plugins, and what is not traced.

use std::sync::{Arc, Mutex};

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tracing_subscriber::prelude::*;

use super::{Spans, Tracer};
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

/// The spans made while `act` ran, in the order of their ends.
fn spans(ratio: f64, act: impl FnOnce(&Tracer)) -> Vec<SpanData> {
    let kept = Kept::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(kept.clone()).build();
    let spans = Spans {
        tracer: Some(provider.tracer("test")),
        ratio,
        split_after_ns: u64::MAX,
    };
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        act(&Tracer::new("actor", &spans));
    });
    kept.0.lock().unwrap().clone()
}

#[test]
fn a_plugin_s_span_is_a_child_of_its_actor_s() {
    let made = spans(1.0, |tracer| {
        let mut batch = batch(["a"], 0, Receipt::none());
        tracer.receive(&mut batch);
        let open = tracer.span("process", "internal", &mut batch);
        drop(batch.frame(0).child_span("lookup"));
        drop(open);
    });
    let names: Vec<_> = made.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["receive actor", "lookup", "process actor"]);
    let [receive, lookup, process] = &made[..] else {
        panic!("three spans")
    };
    assert_eq!(process.parent_span_id, receive.span_context.span_id());
    assert_eq!(lookup.parent_span_id, process.span_context.span_id());
    assert_eq!(lookup.span_context.trace_id(), receive.span_context.trace_id());
}

#[test]
fn a_batch_that_was_not_chosen_makes_no_span_anywhere() {
    let made = spans(0.0, |tracer| {
        let mut batch = batch(["a"], 0, Receipt::none());
        tracer.receive(&mut batch);
        tracer.arrived(&mut batch, 1);
        tracer.waited(&mut batch);
        tracer
            .span("process", "internal", &mut batch)
            .retried(&Error::rejected("x"));
        drop(batch.frame(0).child_span("lookup"));
        assert_eq!(batch.trace, None);
    });
    assert!(made.is_empty(), "{made:?}");
}
