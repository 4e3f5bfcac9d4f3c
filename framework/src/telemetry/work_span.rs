//! What an actor does with one batch, as a span that is open meanwhile.

use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, Status};
use opentelemetry_sdk::trace::Span;

use super::attributes::Operation;
use super::{TraceContext, Tracer, now_ns};
use crate::batch::Batch;
use crate::error::Error;

/// The spans around work on a batch: its own, if it is sampled or once there is a reason to trace it late, and those of its messages.
/// They end when this is dropped.
#[derive(Debug, Default)]
pub struct WorkSpan(Option<Work>);

#[derive(Debug)]
struct Work {
    operation: Operation,
    since_ns: u64,
    retries: u32,
    /// A late reason has come: there is one trace to be made for all of them.
    woken: bool,
    span: Option<Span>,
    /// By the index of their frames.
    messages: Vec<(usize, Span)>,
}

impl WorkSpan {
    pub(super) fn begin(tracer: &Tracer, operation: Operation, batch: &mut Batch) -> Self {
        let Some(own) = &tracer.0 else { return Self::default() };
        let since_ns = now_ns();
        let mut span = None;
        if let Some(parent) = batch.trace {
            let mut begun = own.start(own.of_batch(operation, batch, since_ns, Some(parent)));
            own.tell_pressure(&mut begun);
            batch.trace = TraceContext::of(begun.span_context()).or(batch.trace);
            span = Some(begun);
        }
        let messages = own.message_spans(operation, batch, since_ns, false);
        // Without a span and without a reason that could bring one later there is nothing to remember.
        let matters = span.is_some() || !messages.is_empty() || own.making.late.is_some();
        Self(matters.then_some(Work {
            operation,
            since_ns,
            retries: 0,
            woken: span.is_some(),
            span,
            messages,
        }))
    }

    /// Where the batch stands now: what its outputs and dead letters carry on.
    pub fn trace(&self, batch: &Batch) -> Option<TraceContext> {
        let span = self.0.as_ref().and_then(|work| work.span.as_ref());
        span.and_then(|span| TraceContext::of(span.span_context()))
            .or(batch.trace)
    }

    /// Notes that what is made here also comes of other batches, such as those held back: a link to the span that each has had last. One span has
    /// 128 links at most (`OTEL_SPAN_LINK_COUNT_LIMIT`); it counts those left out.
    pub fn joined(&mut self, others: impl IntoIterator<Item = TraceContext>) {
        let Some(span) = self.0.as_mut().and_then(|work| work.span.as_mut()) else {
            return;
        };
        for trace in others {
            span.add_link(trace.span(), Vec::new());
        }
    }

    /// Notes that the work is tried again after `error`: an event.
    pub fn retried(&mut self, tracer: &Tracer, batch: &Batch, error: &Error) {
        let Some(work) = &mut self.0 else { return };
        for span in work.all() {
            span.add_event("retry", vec![KeyValue::new("error.message", error.to_string())]);
        }
        self.tried(tracer, batch, 1);
    }

    /// Notes that the work was tried so many times more.
    pub fn tried(&mut self, tracer: &Tracer, batch: &Batch, times: u64) {
        let Some(work) = &mut self.0 else { return };
        work.retries = work.retries.saturating_add(u32::try_from(times).unwrap_or(u32::MAX));
        if tracer.late().is_some_and(|late| late.retried(work.retries)) {
            work.wake(tracer, batch);
        }
    }

    /// Notes that one frame was rejected: an event, and the span's `error.type`.
    pub fn rejected(&mut self, tracer: &Tracer, batch: &Batch, frame: usize, reason: &str) {
        let Some(work) = &mut self.0 else { return };
        if tracer.late().is_some_and(|late| late.rejected) {
            work.wake(tracer, batch);
        }
        let message = work.messages.iter_mut().find(|(index, _)| *index == frame);
        for span in work.span.iter_mut().chain(message.map(|(_, span)| span)) {
            span.add_event("rejected", vec![KeyValue::new("error.message", reason.to_owned())]);
            fail(span, "rejected", reason);
        }
    }

    /// Notes what became of the work, and why: the spans' `error.type` and status.
    pub fn failed(&mut self, error_type: &'static str, reason: &str) {
        let Some(work) = &mut self.0 else { return };
        work.all().for_each(|span| fail(span, error_type, reason));
    }
}

impl Work {
    fn all(&mut self) -> impl Iterator<Item = &mut Span> {
        self.span
            .iter_mut()
            .chain(self.messages.iter_mut().map(|(_, span)| span))
    }

    /// Begins the span of a batch that the head did not choose, with its true start.
    fn wake(&mut self, tracer: &Tracer, batch: &Batch) {
        let Some(own) = tracer.0.as_ref().filter(|_| !self.woken) else {
            return;
        };
        self.woken = true;
        let Some(parent) = own.late_trace(batch, self.since_ns) else {
            return;
        };
        self.span = Some(own.start(own.of_batch(self.operation, batch, self.since_ns, Some(parent))));
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if self.retries > 0 {
            let retries = i64::from(self.retries);
            self.all()
                .for_each(|span| span.set_attribute(KeyValue::new("aqueduct.retries", retries)));
        }
    }
}

/// The first failure names the type; the status keeps the last reason.
fn fail(span: &mut Span, error_type: &'static str, reason: &str) {
    span.set_attribute(KeyValue::new("error.type", error_type));
    span.set_status(Status::error(reason.to_owned()));
}
