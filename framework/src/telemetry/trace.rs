//! The spans of one actor. A batch that nobody asks about costs one comparison, and a look at the clock where a late reason may come.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::KeyValue;
use opentelemetry::trace::{Link, Span as _, SpanBuilder, Tracer as _};
use opentelemetry_sdk::trace::{SdkTracer, Span};

use super::attributes::{self, Operation, Peer};
use super::follow::{Chooser, Following};
use super::pressing::WatchedEdge;
use super::sampling::{Bucket, Head, Late};
use super::work_span::WorkSpan;
use super::{Meters, TraceContext, Wait, now_ns};
use crate::batch::Batch;
use crate::config::TelemetryConfig;

/// The attribute of a batch, and the text of a sink's meters, that name the other side of its socket.
const PEER_ATTRIBUTE: &str = "peer.address";
const PEER_TEXT: &str = "peer";

/// What the spans of a process are made with. Cloning shares it; the default makes none.
#[derive(Debug, Clone, Default)]
pub struct Spans(Option<Arc<Making>>);

#[derive(Debug)]
pub(super) struct Making {
    tracer: SdkTracer,
    head: Head,
    split_after_ns: u64,
    /// None when nothing is traced late.
    pub(super) late: Option<Late>,
    late_per_second: u32,
    pub(super) following: Option<Following>,
}

impl Spans {
    /// Spans made with `tracer`, and chosen as `[telemetry]` says.
    pub(super) fn new(tracer: SdkTracer, config: &TelemetryConfig) -> Self {
        let nanoseconds = |period: Duration| u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
        let always = &config.always;
        Self(Some(Arc::new(Making {
            tracer,
            head: Head::new(config.sample_ratio, config.max_traces_per_second),
            split_after_ns: nanoseconds(config.split_after.duration()),
            late: (always.max_per_second > 0).then(|| Late {
                rejected: always.rejected,
                retries: always.retries,
                waited_ns: nanoseconds(always.waited.duration()),
            }),
            late_per_second: always.max_per_second,
            following: config.messages.as_ref().map(Following::new),
        })))
    }
}

/// Makes the spans of one actor; off unless a collector is configured.
#[derive(Debug, Clone, Default)]
pub struct Tracer(pub(super) Option<Box<ActorSpans>>);

/// What an actor's spans tell of it, and what it remembers from one to the next.
#[derive(Debug, Clone)]
pub(super) struct ActorSpans {
    pub(super) making: Arc<Making>,
    pub(super) actor: Arc<str>,
    store: Option<Arc<str>>,
    edges: Vec<WatchedEdge>,
    pub(super) meters: Meters,
    head: RefCell<Head>,
    /// Shared by the workers of one actor.
    late: Arc<Mutex<Bucket>>,
    pub(super) chooser: RefCell<Option<Chooser>>,
    peer: RefCell<Option<Peer>>,
}

/// A span to be made.
pub(super) struct Wanted {
    pub(super) operation: Operation,
    pub(super) actor: Arc<str>,
    pub(super) attributes: Vec<KeyValue>,
    pub(super) links: Vec<Link>,
    pub(super) since_ns: u64,
    pub(super) parent: Option<TraceContext>,
}

impl Tracer {
    /// Traces nothing.
    pub fn off() -> Self {
        Self::default()
    }

    /// Spans named after `actor`.
    pub fn new(actor: &str, spans: &Spans) -> Self {
        Self(spans.0.as_ref().map(|making| {
            Box::new(ActorSpans {
                actor: actor.into(),
                store: None,
                edges: Vec::new(),
                meters: Meters::default(),
                head: RefCell::new(making.head.clone()),
                late: Arc::new(Mutex::new(Bucket::new(making.late_per_second))),
                chooser: RefCell::default(),
                peer: RefCell::default(),
                making: making.clone(),
            })
        }))
        .placed(&Meters::default(), None, Vec::new())
    }

    /// The same in its place: `meters` count what is not traced for want of room, `store` is the one that its batches waited in last, and the
    /// pressure of `edges` shows as events.
    #[must_use]
    pub(crate) fn placed(mut self, meters: &Meters, store: Option<&str>, edges: Vec<WatchedEdge>) -> Self {
        if let Some(own) = &mut self.0 {
            own.store = store.map(Into::into);
            own.edges = edges;
            own.meters = meters.clone();
            own.chooser = RefCell::new(own.making.following.as_ref().map(|following| following.chooser(meters)));
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
        let since_ns = batch.wait.since_ns.min(now_ns);
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
            *own.peer.borrow_mut() = own.meters.said(PEER_TEXT).as_deref().map(Peer::new);
        }
    }
}

impl ActorSpans {
    /// A span of this actor about a whole batch.
    pub(super) fn of_batch(
        &self,
        operation: Operation,
        batch: &Batch,
        since_ns: u64,
        parent: Option<TraceContext>,
    ) -> Wanted {
        let mut attributes = attributes::of_batch(operation, &self.actor, batch);
        self.describe_peer(operation, batch, &mut attributes);
        Wanted {
            operation,
            actor: self.actor.clone(),
            attributes,
            links: Vec::new(),
            since_ns,
            parent,
        }
    }

    pub(super) fn describe_peer(&self, operation: Operation, batch: &Batch, attributes: &mut Vec<KeyValue>) {
        let mut peer = self.peer.borrow_mut();
        if operation == Operation::Receive {
            let text = batch.attributes.get(0, PEER_ATTRIBUTE);
            if text.is_none_or(|text| peer.as_ref().is_none_or(|known| !known.is(text))) {
                *peer = text.map(Peer::new);
            }
        }
        if let Some(peer) = peer
            .as_ref()
            .filter(|_| matches!(operation, Operation::Receive | Operation::Send))
        {
            peer.describe(attributes);
        }
    }

    /// Begins a span.
    pub(super) fn start(&self, wanted: Wanted) -> Span {
        let span = SpanBuilder::from_name([wanted.operation.name(), " ", &wanted.actor].concat())
            .with_kind(wanted.operation.kind())
            .with_attributes(wanted.attributes)
            .with_links(wanted.links)
            .with_start_time(time(wanted.since_ns));
        let parent = wanted.parent.map(TraceContext::as_parent).unwrap_or_default();
        self.making.tracer.build_with_context(span, &parent)
    }

    /// Tells on the span of a batch which edges have kept it waiting.
    pub(super) fn tell_pressure(&self, span: &mut Span, now_ns: u64) {
        for attributes in self.edges.iter().filter_map(|edge| edge.pressure(now_ns)) {
            span.add_event("pressure", attributes);
        }
    }

    /// Makes the span of a batch that has ended already.
    fn emit(&self, wanted: Wanted, now_ns: u64) -> Option<TraceContext> {
        let mut span = self.start(wanted);
        self.tell_pressure(&mut span, now_ns);
        span.end_with_timestamp(time(now_ns));
        TraceContext::of(span.span_context())
    }

    /// The trace of a batch that the head did not choose, up to the moment when it was found to be needed: where it was read, and where it
    /// has waited. None when too many were made in this second, which is counted.
    pub(super) fn late_trace(&self, batch: &Batch, until_ns: u64) -> Option<TraceContext> {
        let taken = self.late.lock().unwrap_or_else(PoisonError::into_inner).take(now_ns());
        if !taken {
            self.meters.counter("late_traces_not_made").add(1);
            return None;
        }
        let wait = batch.wait;
        let received_until_ns = if wait.since_ns > 0 { wait.since_ns } else { until_ns };
        let step = |operation, actor: &Arc<str>, since_ns: u64, until_ns, parent| {
            let mut span = self.start(Wanted {
                operation,
                attributes: attributes::of_batch(operation, actor, batch),
                actor: actor.clone(),
                links: Vec::new(),
                since_ns: since_ns.min(until_ns),
                parent,
            });
            span.end_with_timestamp(time(until_ns));
            TraceContext::of(span.span_context())
        };
        let received = step(
            Operation::Receive,
            &batch.numbers.source,
            batch.received_ns,
            received_until_ns,
            None,
        )?;
        let store = self.store.as_ref().filter(|_| wait.since_ns > 0);
        store.map_or(Some(received), |store| {
            step(Operation::Spill, store, wait.since_ns, wait.until_ns, Some(received))
        })
    }
}

pub(super) fn time(ns: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(ns)
}
