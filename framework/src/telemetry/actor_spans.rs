//! How one actor makes spans: what they say, and what it remembers from one to the next.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::KeyValue;
use opentelemetry::trace::{Link, Span as _, SpanBuilder, Tracer as _};
use opentelemetry_sdk::trace::Span;

use super::attributes::{self, Operation, Peer};
use super::follow::Chooser;
use super::pressing::WatchedEdge;
use super::sampling::{Bucket, Head};
use super::spans::Making;
use super::{Meters, TraceContext, uptime_ns};
use crate::batch::Batch;

/// The attribute of a batch, and the text of a sink's meters, that name the other side of its socket.
const PEER_ATTRIBUTE: &str = "peer.address";
const PEER_TEXT: &str = "peer";

/// What an actor's spans tell of it, and what it remembers from one to the next.
#[derive(Debug, Clone)]
pub(super) struct ActorSpans {
    pub(super) making: Arc<Making>,
    pub(super) actor: Arc<str>,
    store: Option<Arc<str>>,
    edges: Vec<WatchedEdge>,
    pub(super) meters: Meters,
    pub(super) head: RefCell<Head>,
    /// Shared by the workers of one actor.
    late: Arc<Mutex<Bucket>>,
    /// Made by the source with its first batch.
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

impl ActorSpans {
    pub(super) fn new(actor: &str, making: &Arc<Making>) -> Self {
        Self {
            actor: actor.into(),
            store: None,
            edges: Vec::new(),
            head: RefCell::new(making.head.clone()),
            late: Arc::new(Mutex::new(Bucket::new(making.late_per_second))),
            meters: Meters::default(),
            chooser: RefCell::default(),
            peer: RefCell::default(),
            making: making.clone(),
        }
    }

    pub(super) fn place(&mut self, meters: &Meters, store: Option<&str>, edges: Vec<WatchedEdge>) {
        self.store = store.map(Into::into);
        self.edges = edges;
        self.meters = meters.clone();
    }

    /// Learns who is at the other end of a sink's connection.
    pub(super) fn connected(&self) {
        *self.peer.borrow_mut() = self.meters.said(PEER_TEXT).as_deref().map(Peer::new);
    }

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
    pub(super) fn tell_pressure(&self, span: &mut Span) {
        let now_ns = uptime_ns();
        for attributes in self.edges.iter().filter_map(|edge| edge.pressure(now_ns)) {
            span.add_event("pressure", attributes);
        }
    }

    /// Makes the span of a batch that has ended already.
    pub(super) fn emit(&self, wanted: Wanted, now_ns: u64) -> Option<TraceContext> {
        let mut span = self.start(wanted);
        self.tell_pressure(&mut span);
        span.end_with_timestamp(time(now_ns));
        TraceContext::of(span.span_context())
    }

    /// The trace of a batch that the head did not choose, up to the moment when it was found to be needed: where it was read, and where it
    /// has waited. None when too many were made in this second, which is counted.
    pub(super) fn late_trace(&self, batch: &Batch, until_ns: u64) -> Option<TraceContext> {
        let taken = self
            .late
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(uptime_ns());
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

fn time(ns: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(ns)
}
