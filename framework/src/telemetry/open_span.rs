//! Spans of plugins inside those of their actors.

use opentelemetry::KeyValue;
use opentelemetry::trace::Status;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{TARGET, TraceContext};
use crate::error::Error;

/// A span around work on a frame; nothing when the batch is not sampled. It ends when this is dropped.
#[derive(Debug, Default)]
pub struct OpenSpan(Option<Span>);

impl OpenSpan {
    /// A child of `parent`; nothing when no collector is configured.
    pub(crate) fn child(parent: TraceContext, name: &str, kind: &'static str) -> Self {
        let span = tracing::info_span!(target: TARGET, "batch", otel.name = name, otel.kind = kind);
        Self(span.set_parent(parent.as_parent()).is_ok().then_some(span))
    }

    /// Notes that the work is tried again after `error`: an event.
    pub fn retried(&self, error: &Error) {
        let Some(span) = &self.0 else { return };
        span.add_event("retry", vec![KeyValue::new("error.message", error.to_string())]);
    }

    /// Notes that one frame was rejected: an event, and the span's `error.type`.
    pub fn rejected(&self, reason: &str) {
        let Some(span) = &self.0 else { return };
        span.add_event("rejected", vec![KeyValue::new("error.message", reason.to_owned())]);
        self.failed("rejected", reason);
    }

    /// Notes what became of the work, and why: the span's `error.type` and status.
    pub fn failed(&self, error_type: &'static str, reason: &str) {
        let Some(span) = &self.0 else { return };
        span.set_attribute("error.type", error_type);
        span.set_status(Status::error(reason.to_owned()));
    }
}
