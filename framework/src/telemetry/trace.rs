//! The spans of one actor. A batch that the head did not choose costs one comparison.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{Link, Span as _, SpanBuilder, SpanKind, Tracer as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;

use super::{OpenSpan, TraceContext, now_ns};
use crate::batch::Batch;

/// What the spans of a process are made with. Cloning shares it; the default makes none.
#[derive(Debug, Clone, Default)]
pub struct Spans {
    pub(super) tracer: Option<SdkTracer>,
    /// Share of the traces that are made, 0 to 1.
    pub(super) ratio: f64,
    /// A wait that is longer begins a trace of its own, in nanoseconds.
    pub(super) split_after_ns: u64,
}

/// Makes the spans of one actor; off unless a collector is configured.
#[derive(Debug, Clone, Default)]
pub struct Tracer {
    actor: String,
    spans: Spans,
}

impl Tracer {
    /// Traces nothing.
    pub fn off() -> Self {
        Self::default()
    }

    /// Spans named after `actor`.
    pub fn new(actor: &str, spans: &Spans) -> Self {
        Self {
            actor: actor.to_owned(),
            spans: spans.clone(),
        }
    }

    /// The head's decision: makes the span `receive ACTOR`, from the first byte read until now, for the batches it samples, and lets
    /// them carry it on.
    pub fn receive(&self, batch: &mut Batch) {
        if self.spans.ratio <= 0.0 || fastrand::f64() >= self.spans.ratio {
            return;
        }
        let span = self.named("receive", SpanKind::Consumer, batch);
        batch.trace = self.emit(span, batch.received_ns, &Context::new());
    }

    /// Notes that a sampled batch begins to wait.
    pub fn arrived(&self, batch: &mut Batch, now_ns: u64) {
        if let Some(trace) = &mut batch.trace {
            trace.since_ns = now_ns;
        }
    }

    /// The span `spill ACTOR` of a sampled batch that has waited, from its arrival until now, whatever process it arrived in. A long
    /// wait begins a trace of its own, linked to the one before: backends give a trace up that goes on after minutes.
    pub fn waited(&self, batch: &mut Batch) {
        let Some(before) = batch.trace else { return };
        let span = self.named("spill", SpanKind::Internal, batch);
        let waited_ns = now_ns().saturating_sub(before.since_ns);
        let made = if waited_ns > self.spans.split_after_ns {
            let link = Link::with_context(before.span());
            self.emit(span.with_links(vec![link]), before.since_ns, &Context::new())
        } else {
            self.emit(span, before.since_ns, &before.as_parent())
        };
        batch.trace = made.or(Some(before));
    }

    /// The span `OPERATION ACTOR` around what this actor does with a sampled batch, as the child of the actor before. The batch carries
    /// it on.
    pub fn span(&self, operation: &'static str, kind: &'static str, batch: &mut Batch) -> OpenSpan {
        let Some(parent) = batch.trace else {
            return OpenSpan::default();
        };
        let span = OpenSpan::child(parent, &format!("{operation} {}", self.actor), kind);
        if let Some(made) = span.context() {
            span.describe(self.attributes(operation, batch));
            batch.trace = Some(made);
        }
        span
    }

    fn named(&self, operation: &'static str, kind: SpanKind, batch: &Batch) -> SpanBuilder {
        SpanBuilder::from_name(format!("{operation} {}", self.actor))
            .with_kind(kind)
            .with_attributes(self.attributes(operation, batch))
    }

    /// Makes a span that has ended already.
    fn emit(&self, span: SpanBuilder, since_ns: u64, parent: &Context) -> Option<TraceContext> {
        let tracer = self.spans.tracer.as_ref()?;
        let now_ns = now_ns();
        // The wall clock may have been set back in between.
        let start = time(since_ns.min(now_ns));
        let mut span = tracer.build_with_context(span.with_start_time(start), parent);
        span.end_with_timestamp(time(now_ns));
        TraceContext::of(span.span_context(), now_ns)
    }

    fn attributes(&self, operation: &'static str, batch: &Batch) -> Vec<KeyValue> {
        let mut attributes = vec![
            KeyValue::new("messaging.system", "aqueduct"),
            KeyValue::new("messaging.operation.name", operation),
            KeyValue::new("messaging.destination.name", self.actor.clone()),
            KeyValue::new("messaging.batch.message_count", batch.len() as i64),
            KeyValue::new("aqueduct.source", batch.numbers.source.to_string()),
        ];
        if let Some((first, last)) = batch.numbers.bounds() {
            attributes.push(KeyValue::new("aqueduct.seq.first", first as i64));
            attributes.push(KeyValue::new("aqueduct.seq.last", last as i64));
        }
        // The conventions know these types; waiting in a store is none of them.
        if matches!(operation, "receive" | "process" | "send") {
            attributes.push(KeyValue::new("messaging.operation.type", operation));
        }
        attributes
    }
}

fn time(ns: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(ns)
}
