//! Spans of plugins inside those of their actors.

use opentelemetry::trace::Status;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{TARGET, TraceContext};

/// A span around work on a frame; nothing when the batch is not sampled. It ends when this is dropped.
#[derive(Debug, Default)]
pub struct OpenSpan(Option<Span>);

impl OpenSpan {
    /// A child of `parent`; nothing when no collector is configured.
    pub(crate) fn child(parent: TraceContext, name: &str, kind: &'static str) -> Self {
        let span = tracing::info_span!(target: TARGET, "batch", otel.name = name, otel.kind = kind);
        Self(span.set_parent(parent.as_parent()).is_ok().then_some(span))
    }

    /// Says something about the work.
    pub fn attribute(&self, key: &'static str, value: impl Into<String>) {
        if let Some(span) = &self.0 {
            span.set_attribute(key, value.into());
        }
    }

    /// Notes what became of the work, and why: the span's `error.type` and status.
    pub fn failed(&self, error_type: &'static str, reason: &str) {
        let Some(span) = &self.0 else { return };
        span.set_attribute("error.type", error_type);
        span.set_status(Status::error(reason.to_owned()));
    }
}
