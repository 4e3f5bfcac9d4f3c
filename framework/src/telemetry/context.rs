//! Where in which trace a batch stands.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};

/// A W3C trace context (<https://www.w3.org/TR/trace-context/>), as small as a batch can carry it.
/// It exists only on batches that the head of the pipeline chose to sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct TraceContext {
    /// 16 bytes, not all zero.
    pub trace_id: u128,
    /// The span the next actor's span is a child of.
    pub span_id: u64,
    /// Since when the batch has been where it is, in nanoseconds since 1970: the true start of a wait that may end in another process.
    pub since_ns: u64,
}

impl TraceContext {
    /// None when the span is not sampled.
    pub(super) fn of(span: &SpanContext, since_ns: u64) -> Option<Self> {
        span.is_sampled().then(|| Self {
            trace_id: u128::from_be_bytes(span.trace_id().to_bytes()),
            span_id: u64::from_be_bytes(span.span_id().to_bytes()),
            since_ns,
        })
    }

    pub(super) fn span(self) -> SpanContext {
        SpanContext::new(
            TraceId::from_bytes(self.trace_id.to_be_bytes()),
            SpanId::from_bytes(self.span_id.to_be_bytes()),
            TraceFlags::SAMPLED,
            true,
            TraceState::default(),
        )
    }

    pub(super) fn as_parent(self) -> Context {
        Context::new().with_remote_span_context(self.span())
    }
}
