//! The longest span of a name: for a program that shows its user a trace worth looking at.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::trace::TraceId;
use opentelemetry_sdk::trace::SpanData;

/// What was noted. Cloning shares it.
#[derive(Debug, Clone)]
pub(super) struct Noted {
    name: String,
    longest: Arc<Mutex<Option<(Duration, TraceId)>>>,
}

impl Noted {
    /// Nothing yet of the spans called `name`.
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            longest: Arc::default(),
        }
    }

    pub(super) fn see(&self, span: &SpanData) {
        if span.name != self.name {
            return;
        }
        let length = span.end_time.duration_since(span.start_time).unwrap_or_default();
        let mut longest = self.longest.lock().unwrap_or_else(PoisonError::into_inner);
        if longest.is_none_or(|(known, _)| known < length) {
            *longest = Some((length, span.span_context.trace_id()));
        }
    }

    pub(super) fn longest(&self) -> Option<(Duration, String)> {
        let longest = *self.longest.lock().unwrap_or_else(PoisonError::into_inner);
        longest.map(|(length, trace)| (length, trace.to_string()))
    }
}
