//! The processor with its workers, and the sender with its connection.

use std::sync::Arc;
use std::time::Duration;

use aqueduct::framework::actors::processor::reorder::Reorder;
use aqueduct::framework::backoff::Backoff;
use aqueduct::framework::batch::Batch;
use aqueduct::framework::config::RetryConfig;
use aqueduct::framework::plugin::Delivery;
use aqueduct::framework::receipt::Fate;
use aqueduct::framework::units::Period;

use super::destination::Destination;
use super::edge::Edge;
use super::upstream::{halves, number};

/// What a worker does with a batch.
#[derive(Debug, Clone, Copy)]
pub(super) enum Work {
    PassOn,
    Reject,
    Panic,
}

/// A processor that lets everything through, with workers that finish in any order.
pub(super) struct Processor {
    order: Reorder<(usize, Vec<Batch>)>,
    working: Vec<(u64, usize, Batch)>,
    ready: Option<(usize, Vec<Batch>)>,
}

impl Processor {
    const WORKERS: usize = 3;

    pub(super) fn new() -> Self {
        Self {
            order: Reorder::new(),
            working: Vec::new(),
            ready: None,
        }
    }

    /// A batch is given to a worker.
    pub(super) fn take(&mut self, above: &mut Edge) {
        if self.working.len() >= Self::WORKERS {
            return;
        }
        match above.receive() {
            Some(batch) if batch.receipt.is_stale() => {
                let ticket = self.order.issue();
                self.order.done(ticket, (batch.cost(), Vec::new()));
            }
            Some(batch) => self.working.push((self.order.issue(), batch.cost(), batch)),
            None => above.idle(),
        }
    }

    /// A worker finishes. Returns the frames that it rejected.
    pub(super) fn work(&mut self, which: usize, how: Work) -> Vec<u64> {
        if self.working.is_empty() {
            return Vec::new();
        }
        let (ticket, cost, batch) = self.working.swap_remove(which % self.working.len());
        let (mut made, mut rejected) = (Vec::new(), Vec::new());
        match how {
            Work::PassOn => made = halves(batch),
            Work::Reject => {
                rejected.extend(batch.frames().map(|frame| number(frame.bytes())));
                batch.receipt.settle(Fate::Rejected);
            }
            Work::Panic => drop(batch),
        }
        self.order.done(ticket, (cost, made));
        rejected
    }

    /// What is next in order goes on, one batch under each permission.
    pub(super) fn pass_on(&mut self, above: &mut Edge, below: &mut Edge) {
        if self.ready.is_none() {
            self.ready = self.order.pop();
        }
        if let Some((_, batches)) = &mut self.ready
            && below.may_send()
            && !batches.is_empty()
        {
            below.send(batches.remove(0));
        }
        if let Some((cost, _)) = self.ready.take_if(|(_, batches)| batches.is_empty()) {
            above.release(cost);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.in_flight() == 0 && self.ready.is_none()
    }
}

/// A sender that connects again and resumes.
pub(super) struct Sender {
    delivery: Option<(usize, Delivery)>,
    backoff: Backoff,
    retry: RetryConfig,
    connected: bool,
    attempt_at_ns: u64,
}

impl Sender {
    pub(super) fn new() -> Self {
        let retry = RetryConfig {
            first: Period::milliseconds(1),
            max: Period::milliseconds(50),
            ..RetryConfig::default()
        };
        Self {
            delivery: None,
            backoff: Backoff::new(retry.clone()),
            retry,
            connected: false,
            attempt_at_ns: 0,
        }
    }

    /// Connects when it is time to, and writes up to so many bytes.
    pub(super) fn turn(
        &mut self,
        now_ns: u64,
        random: f64,
        bytes: usize,
        above: &mut Edge,
        destination: &mut Destination,
    ) {
        if !self.connected && now_ns >= self.attempt_at_ns {
            self.connect(now_ns, random, destination);
        }
        if !self.connected {
            return;
        }
        if self.delivery.is_none() && !self.take(above) {
            return;
        }
        let Some((cost, delivery)) = &mut self.delivery else {
            return;
        };
        let piece = &delivery.wire()[..bytes.min(delivery.wire().len())];
        destination.take(piece);
        let written = piece.len();
        delivery.advance(written);
        if delivery.is_done() {
            let cost = *cost;
            self.backoff.reset();
            if let Some((_, delivery)) = self.delivery.take() {
                delivery.into_batch().receipt.settle(Fate::Delivered);
            }
            above.release(cost);
        }
    }

    fn take(&mut self, above: &mut Edge) -> bool {
        let Some(batch) = above.receive() else {
            above.idle();
            return false;
        };
        let cost = batch.cost();
        if batch.receipt.is_stale() {
            above.release(cost);
            return false;
        }
        let (wire, ends) = (batch.payload.clone(), Arc::clone(&batch.ends));
        self.delivery = Some((cost, Delivery::new(batch, wire, ends)));
        true
    }

    fn connect(&mut self, now_ns: u64, random: f64, destination: &Destination) {
        self.connected = destination.is_there(now_ns);
        if !self.connected {
            let wait = self.backoff.next(random);
            assert!(wait <= self.retry.max.0, "{wait:?} until the next attempt");
            self.attempt_at_ns = now_ns + duration_ns(wait);
        }
    }

    /// The connection breaks: the next one begins at the frame that was under way.
    pub(super) fn lose_connection(&mut self, destination: &mut Destination) {
        if self.connected {
            self.connected = false;
            destination.connection_ends();
            if let Some((_, delivery)) = &mut self.delivery {
                delivery.rewind();
            }
        }
    }

    /// Gives up what it has in hand.
    pub(super) fn give_up(&mut self, above: &mut Edge, destination: &mut Destination) {
        self.lose_connection(destination);
        if let Some((cost, _)) = self.delivery.take() {
            above.release(cost);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.delivery.is_none()
    }
}

fn duration_ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
