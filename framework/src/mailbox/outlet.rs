//! The upstream end of edges: sends under demand.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use actix::prelude::*;
use tokio::sync::Notify;

use super::{Arrival, Edge, Granted};
use crate::batch::Batch;
use crate::demand::DemandLedger;
use crate::receipt::Fate;
use crate::telemetry::uptime_ns;

/// The upstream end of one output: all the edges that leave it. Each gets every batch (fan-out), at the pace of the slowest.
#[derive(Default)]
pub struct Outlet {
    edges: RefCell<Vec<OutEdge>>,
    granted: Notify,
    waiters: Cell<usize>,
}

struct OutEdge {
    edge: Edge,
    ledger: DemandLedger,
}

impl Outlet {
    /// An output that leads along `edges`; with none, what is sent counts as delivered.
    pub fn new(edges: Vec<Edge>) -> Rc<Self> {
        let edges = edges.into_iter().map(|edge| OutEdge {
            edge,
            ledger: DemandLedger::default(),
        });
        Rc::new(Self {
            edges: RefCell::new(edges.collect()),
            ..Self::default()
        })
    }

    /// Tells every downstream actor where to send its grants.
    pub fn join(&self, grants_to: &Recipient<Granted>) {
        for OutEdge { edge, .. } in self.edges.borrow().iter() {
            edge.to.do_send(Arrival::Joined(edge.id, grants_to.clone()));
        }
    }

    /// True when something takes what is sent.
    pub fn is_connected(&self) -> bool {
        !self.edges.borrow().is_empty()
    }

    /// True while every branch has demand left.
    pub fn may_send(&self) -> bool {
        self.edges.borrow().iter().all(|edge| edge.ledger.may_send())
    }

    /// Waits until every branch has demand. Cancel-safe; any number of waiters, all woken by a grant.
    pub async fn permit(&self) {
        if self.may_send() {
            return;
        }
        let _wait = Wait::begin(self);
        while !self.may_send() {
            self.granted.notified().await;
        }
    }

    /// For an actor that does other things while it waits: says whether it has something to send and lacks demand.
    pub fn note_waiting(&self, waiting: bool) {
        for OutEdge { edge, ledger } in self.edges.borrow().iter() {
            let since = edge.meters.waiting_since_ns.get();
            if waiting && !ledger.may_send() && since == 0 {
                edge.meters.waiting_since_ns.set(uptime_ns());
            } else if !waiting {
                edge.meters.end_wait();
            }
        }
    }

    /// Takes a grant, and wakes who waits for it.
    pub fn grant(&self, Granted(id, grant): Granted) {
        if let Some(edge) = self.edges.borrow_mut().iter_mut().find(|out| out.edge.id == id) {
            edge.ledger.grant(grant);
            self.granted.notify_waiters();
        }
    }

    /// Sends a batch along every edge. An unconnected output delivers it: frames sent there were meant to leave the flow.
    pub fn send(&self, batch: Batch) {
        let mut edges = self.edges.borrow_mut();
        let Some((last, others)) = edges.split_last_mut() else {
            batch.receipt.settle(Fate::Delivered);
            return;
        };
        for edge in others {
            let receipt = batch.receipt.child();
            edge.send(batch.share(receipt));
        }
        last.send(batch);
    }

    /// Tells every downstream actor that nothing more will come.
    pub fn finish(&self) {
        for OutEdge { edge, .. } in self.edges.borrow().iter() {
            edge.to.do_send(Arrival::Finished(edge.id));
        }
    }
}

/// One waiter. The meters are told by the first to wait and by the last to go, also when its future is dropped.
struct Wait<'a>(&'a Outlet);

impl<'a> Wait<'a> {
    fn begin(outlet: &'a Outlet) -> Self {
        if outlet.waiters.replace(outlet.waiters.get() + 1) == 0 {
            outlet.note_waiting(true);
        }
        Self(outlet)
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let left = self.0.waiters.get() - 1;
        self.0.waiters.set(left);
        if left == 0 {
            self.0.note_waiting(false);
        }
    }
}

impl OutEdge {
    fn send(&mut self, batch: Batch) {
        // Whoever sends has stopped waiting, though it may wait again at once: a slow edge is not a blocked one.
        self.edge.meters.end_wait();
        self.ledger.spend(batch.cost());
        self.edge.meters.frames.add(batch.len() as u64);
        self.edge.meters.bytes.add(batch.payload.len() as u64);
        // Where the downstream actor is gone the batch is dropped, and its receipt says so upstream.
        self.edge.to.do_send(Arrival::Batch(self.edge.id, batch));
    }
}
