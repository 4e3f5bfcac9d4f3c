//! Trace contexts and spans. A batch that the head did not choose costs one comparison.

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::batch::Batch;

/// A W3C trace context (<https://www.w3.org/TR/trace-context/>), as small as a batch can carry it.
/// It exists only on batches that the head of the pipeline chose to sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct TraceContext {
    /// 16 bytes, not all zero.
    pub trace_id: u128,
    /// The span the next actor's span is a child of.
    pub span_id: u64,
}

impl TraceContext {
    fn of(span: &Span) -> Option<Self> {
        let context = span.context();
        let context = context.span().span_context().clone();
        context.is_sampled().then(|| Self {
            trace_id: u128::from_be_bytes(context.trace_id().to_bytes()),
            span_id: u64::from_be_bytes(context.span_id().to_bytes()),
        })
    }

    fn as_parent(self) -> opentelemetry::Context {
        let span = SpanContext::new(
            TraceId::from_bytes(self.trace_id.to_be_bytes()),
            SpanId::from_bytes(self.span_id.to_be_bytes()),
            TraceFlags::SAMPLED,
            true,
            TraceState::default(),
        );
        opentelemetry::Context::new().with_remote_span_context(span)
    }
}

/// Makes the spans of one actor; off unless a collector is configured.
#[derive(Debug, Clone, Default)]
pub struct Tracer {
    actor: String,
    ratio: f64,
}

impl Tracer {
    /// Traces nothing.
    pub fn off() -> Self {
        Self::default()
    }

    /// Spans named after `actor`; a source samples `ratio` (0 to 1) of its batches.
    pub fn new(actor: &str, ratio: f64) -> Self {
        Self {
            actor: actor.to_owned(),
            ratio,
        }
    }

    /// The head's decision: makes the span `receive ACTOR` for the batches it samples, and lets them carry it on.
    pub fn receive(&self, batch: &mut Batch) {
        if self.ratio <= 0.0 || fastrand::f64() >= self.ratio {
            return;
        }
        let span = tracing::info_span!(
            target: TARGET,
            "receive",
            otel.name = format!("receive {}", self.actor),
            otel.kind = "consumer",
            messaging.operation.type = "receive",
        );
        self.describe(&span, batch);
        batch.trace = TraceContext::of(&span);
    }

    /// The span `OPERATION ACTOR` around what this actor does with a sampled batch, as the child of the actor before. The batch carries
    /// it on. Dropping the result ends the span.
    pub fn span(&self, operation: &'static str, kind: &'static str, batch: &mut Batch) -> Option<Span> {
        let parent = batch.trace?;
        let span = tracing::info_span!(
            target: TARGET,
            "actor",
            otel.name = format!("{operation} {}", self.actor),
            otel.kind = kind,
            messaging.operation.type = operation,
        );
        if span.set_parent(parent.as_parent()).is_err() {
            return None;
        }
        self.describe(&span, batch);
        batch.trace = TraceContext::of(&span).or(Some(parent));
        Some(span)
    }

    fn describe(&self, span: &Span, batch: &Batch) {
        span.set_attribute("messaging.system", "aqueduct");
        span.set_attribute("messaging.batch.message_count", batch.len() as i64);
        span.set_attribute("messaging.destination.name", self.actor.clone());
        span.set_attribute("aqueduct.source", batch.numbers.source.to_string());
        if let Some((first, last)) = batch.numbers.bounds() {
            span.set_attribute("aqueduct.seq.first", first as i64);
            span.set_attribute("aqueduct.seq.last", last as i64);
        }
    }
}

/// The `tracing` target of pipeline spans, by which the exporting layer selects them.
pub const TARGET: &str = "aqueduct::pipeline";
