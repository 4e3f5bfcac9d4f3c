//! Where in which trace a batch stands, and where it has waited.

use std::num::NonZeroU64;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};

use super::Traceparent;

/// A W3C trace context (<https://www.w3.org/TR/trace-context/>), as small as a batch can carry it.
/// It exists only on batches that are sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// 16 bytes, not all zero.
    pub trace_id: u128,
    /// The span the next actor's span is a child of.
    pub span_id: NonZeroU64,
}

impl TraceContext {
    /// None when the span is not sampled.
    pub(super) fn of(span: &SpanContext) -> Option<Self> {
        span.is_sampled().then_some(Self {
            trace_id: u128::from_be_bytes(span.trace_id().to_bytes()),
            span_id: NonZeroU64::new(u64::from_be_bytes(span.span_id().to_bytes()))?,
        })
    }

    /// The trace's id as backends write it: 32 hexadecimal digits.
    pub fn id(self) -> String {
        format!("{:032x}", self.trace_id)
    }

    pub(super) fn span(self) -> SpanContext {
        SpanContext::new(
            TraceId::from_bytes(self.trace_id.to_be_bytes()),
            SpanId::from_bytes(self.span_id.get().to_be_bytes()),
            TraceFlags::SAMPLED,
            true,
            TraceState::default(),
        )
    }

    pub(super) fn as_parent(self) -> Context {
        Context::new().with_remote_span_context(self.span())
    }
}

impl From<Traceparent> for TraceContext {
    fn from(parent: Traceparent) -> Self {
        Self {
            trace_id: parent.trace_id,
            span_id: parent.span_id,
        }
    }
}

impl From<TraceContext> for Traceparent {
    fn from(context: TraceContext) -> Self {
        Self {
            trace_id: context.trace_id,
            span_id: context.span_id,
            sampled: true,
        }
    }
}

/// A batch's stay in the spill store that it came to last, sampled or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wait {
    /// When it came there, in nanoseconds since 1970, perhaps in another process; 0 when it has met none.
    pub since_ns: u64,
    /// When it was handed down, in nanoseconds since 1970; 0 while it waits.
    pub until_ns: u64,
}
