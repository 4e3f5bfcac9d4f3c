//! The spans of one actor. A batch that nobody asks about costs one comparison, and a look at the clock where a late reason may come.

use opentelemetry::trace::Link;

use super::actor_spans::ActorSpans;
use super::attributes::Operation;
use super::pressing::WatchedEdge;
use super::sampling::Late;
use super::spans::Spans;
use super::work_span::WorkSpan;
use super::{Meters, Wait, now_ns, uptime_ns};
use crate::batch::Batch;

/// Makes the spans of one actor; off unless a collector is configured.
#[derive(Debug, Clone, Default)]
pub struct Tracer(pub(super) Option<Box<ActorSpans>>);

impl Tracer {
    /// Traces nothing.
    pub fn off() -> Self {
        Self::default()
    }

    /// Spans named after `actor`.
    pub fn new(actor: &str, spans: &Spans) -> Self {
        Self(spans.0.as_ref().map(|making| Box::new(ActorSpans::new(actor, making))))
    }

    /// The same in its place: `meters` count what is not traced for want of room, `store` is the one that its batches waited in last, and the
    /// pressure of `edges` shows as events.
    #[must_use]
    pub(crate) fn placed(mut self, meters: &Meters, store: Option<&str>, edges: Vec<WatchedEdge>) -> Self {
        if let Some(own) = &mut self.0 {
            own.place(meters, store, edges);
        }
        self
    }

    /// The head's decision: makes the span `receive ACTOR`, from the first byte read until now, for the batches it samples, and lets
    /// them carry it on. Messages that are to be followed get spans of their own.
    pub fn receive(&self, batch: &mut Batch) {
        let Some(own) = &self.0 else { return };
        let chosen = own.head.borrow_mut().chooses(fastrand::f64(), batch.received_ns);
        if !chosen && own.making.following.is_none() {
            return;
        }
        let now_ns = now_ns();
        // The wall clock may have been set back in between.
        let since_ns = batch.received_ns.min(now_ns);
        if chosen {
            let wanted = own.of_batch(Operation::Receive, batch, since_ns, None);
            batch.trace = own.emit(wanted, now_ns);
        }
        own.choose_messages(batch, since_ns);
    }

    /// Like [`Tracer::receive`], for a batch that was made elsewhere. One that stands in a trace goes on in it, or in a new one that is linked to it when
    /// it was read too long ago; about any other the head decides.
    pub(crate) fn forward(&self, batch: &mut Batch) {
        let Some(own) = &self.0 else { return };
        let now_ns = now_ns();
        let splits = now_ns.saturating_sub(batch.received_ns) > own.making.split_after_ns;
        if let Some(before) = batch.trace {
            let parent = (!splits).then_some(before);
            let mut wanted = own.of_batch(Operation::Receive, batch, now_ns, parent);
            wanted.links.extend(splits.then(|| Link::with_context(before.span())));
            batch.trace = own.emit(wanted, now_ns).or(Some(before));
        } else if own.head.borrow_mut().chooses(fastrand::f64(), uptime_ns()) {
            let wanted = own.of_batch(Operation::Receive, batch, now_ns, None);
            batch.trace = own.emit(wanted, now_ns);
        }
        if own.follows(batch) {
            own.message_spans(Operation::Receive, batch, now_ns, splits);
        } else {
            own.choose_messages(batch, now_ns);
        }
    }

    /// Notes that a batch begins to wait.
    pub fn arrived(&self, batch: &mut Batch, now_ns: u64) {
        batch.wait = Wait {
            since_ns: now_ns,
            until_ns: 0,
        };
    }

    /// Notes that a batch has waited: the span `spill ACTOR`, from its arrival until now, whatever process it arrived in. A long
    /// wait begins a trace of its own, linked to the one before: backends give a trace up that goes on after minutes. A wait longer than
    /// `[telemetry.always] waited` makes the trace of a batch that has none.
    pub fn waited(&self, batch: &mut Batch) {
        let now_ns = now_ns();
        batch.wait.until_ns = now_ns;
        let Some(own) = &self.0 else { return };
        let since_ns = match batch.wait.since_ns {
            // Written by a version that did not note it.
            0 => now_ns,
            since => since.min(now_ns),
        };
        let waited_ns = now_ns - since_ns;
        let splits = waited_ns > own.making.split_after_ns;
        if let Some(before) = batch.trace {
            let parent = (!splits).then_some(before);
            let mut wanted = own.of_batch(Operation::Spill, batch, since_ns, parent);
            wanted.links.extend(splits.then(|| Link::with_context(before.span())));
            batch.trace = own.emit(wanted, now_ns).or(Some(before));
        } else if own.making.late.is_some_and(|late| late.waited(waited_ns)) {
            batch.trace = own.late_trace(batch, now_ns);
        }
        own.message_spans(Operation::Spill, batch, since_ns, splits);
    }

    /// The span `process ACTOR` around what a processor does with a batch, as the child of the actor before. The batch carries it on.
    pub fn process(&self, batch: &mut Batch) -> WorkSpan {
        WorkSpan::begin(self, Operation::Process, batch)
    }

    /// The span `send ACTOR` around the delivery of a batch.
    pub fn send(&self, batch: &mut Batch) -> WorkSpan {
        WorkSpan::begin(self, Operation::Send, batch)
    }

    pub(super) fn late(&self) -> Option<Late> {
        self.0.as_ref()?.making.late
    }

    /// Learns who is at the other end of a sink's connection, from what the sink says in its meters.
    pub fn connected(&self) {
        if let Some(own) = &self.0 {
            own.connected();
        }
    }
}
