//! Edges between actors: an [`Outlet`] sends batches under demand, an [`Inbox`] holds what arrived and grants more.
//!
//! An actix mailbox's capacity bounds nothing by itself (`do_send` ignores it, every sender clone adds a slot), so demand is
//! the bound: batches travel by `try_send` under demand, and since a batch costs at least [`LEAST_COST_BYTES`], the mailbox
//! holds at most `window / 4 KiB` batches plus control messages. A full mailbox is therefore a bug, and is reported as one.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use actix::prelude::*;
use tokio::sync::Notify;

use crate::batch::{Batch, LEAST_COST_BYTES};
use crate::demand::{DemandLedger, Grant, Window};
use crate::receipt::Fate;
use crate::telemetry::{Counter, Gauge, now_ns};

/// Room in a mailbox for messages that are not batches: grants, joins, stops, settlements.
pub const CONTROL_SLOTS: usize = 256;

/// Names an edge within its pipeline.
pub type EdgeId = u32;

/// What travels down an edge.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum Arrival {
    /// The upstream actor is there and takes grants at this address. The first message on an edge.
    Joined(EdgeId, Recipient<Granted>),
    /// A batch, sent under demand.
    Batch(EdgeId, Batch),
    /// Nothing more will come on this edge.
    Finished(EdgeId),
}

/// What travels up an edge: demand.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Granted(pub EdgeId, pub Grant);

/// The number of slots a mailbox needs for a window of `window_bytes`.
pub fn slots(window_bytes: usize) -> usize {
    window_bytes / LEAST_COST_BYTES + CONTROL_SLOTS
}

/// The upstream end of one output: all the edges that leave it. Each gets every batch (fan-out), at the pace of the slowest.
#[derive(Default)]
pub struct Outlet {
    edges: RefCell<Vec<OutEdge>>,
    granted: Notify,
}

/// An edge as its upstream actor is given it.
#[derive(Clone)]
pub struct Edge {
    /// Its name.
    pub id: EdgeId,
    /// The downstream actor.
    pub to: Recipient<Arrival>,
    /// What is counted on it.
    pub meters: EdgeMeters,
}

/// What is counted on an edge, read by `status` from any thread.
#[derive(Debug, Clone, Default)]
pub struct EdgeMeters {
    /// Frames sent along it.
    pub frames: Counter,
    /// Bytes of their payloads, framing included.
    pub bytes: Counter,
    /// Since when the upstream actor has been waiting for demand, in nanoseconds since 1970; 0 while it is not.
    pub waiting_since_ns: Gauge,
    /// All such waits together, in nanoseconds.
    pub waited_ns: Counter,
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

    /// Waits until every branch has demand. Cancel-safe; one waiter at a time.
    pub async fn permit(&self) {
        if self.may_send() {
            return;
        }
        let since = now_ns();
        let lacking = self.lacking(since);
        // Ends the wait on the meters also when this future is dropped.
        let _end = Wait { edges: lacking, since };
        while !self.may_send() {
            self.granted.notified().await;
        }
    }

    /// For an actor that does other things while it waits: says whether it has something to send and lacks demand.
    pub fn note_waiting(&self, waiting: bool) {
        for OutEdge { edge, ledger } in self.edges.borrow().iter() {
            let since = edge.meters.waiting_since_ns.get();
            if waiting && !ledger.may_send() && since == 0 {
                edge.meters.waiting_since_ns.set(now_ns());
            } else if !waiting && since != 0 {
                edge.meters.waited_ns.add(now_ns().saturating_sub(since));
                edge.meters.waiting_since_ns.set(0);
            }
        }
    }

    fn lacking(&self, since: u64) -> Vec<EdgeMeters> {
        let edges = self.edges.borrow();
        let lacking = edges.iter().filter(|edge| !edge.ledger.may_send());
        lacking
            .map(|OutEdge { edge, .. }| {
                edge.meters.waiting_since_ns.set(since);
                edge.meters.clone()
            })
            .collect()
    }

    /// Takes a grant, and wakes who waits for it.
    pub fn grant(&self, Granted(id, grant): Granted) {
        if let Some(edge) = self.edges.borrow_mut().iter_mut().find(|out| out.edge.id == id) {
            edge.ledger.grant(grant);
            self.granted.notify_one();
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

struct Wait {
    edges: Vec<EdgeMeters>,
    since: u64,
}

impl Drop for Wait {
    fn drop(&mut self) {
        let waited = now_ns().saturating_sub(self.since);
        for edge in &self.edges {
            edge.waiting_since_ns.set(0);
            edge.waited_ns.add(waited);
        }
    }
}

impl OutEdge {
    fn send(&mut self, batch: Batch) {
        self.ledger.spend(batch.cost());
        self.edge.meters.frames.add(batch.len() as u64);
        self.edge.meters.bytes.add(batch.payload.len() as u64);
        match self.edge.to.try_send(Arrival::Batch(self.edge.id, batch)) {
            Ok(()) => {}
            // The batch comes back inside the error and is dropped with it: its receipt says so upstream.
            Err(SendError::Full(_)) => tracing::error!(
                edge = self.edge.id,
                "mailbox full under demand: a bug, please report it"
            ),
            Err(SendError::Closed(_)) => tracing::debug!(edge = self.edge.id, "the downstream actor is gone"),
        }
    }
}

/// The downstream end of an actor's edges: what arrived, and the windows that let more come.
pub struct Inbox {
    queue: RefCell<VecDeque<(EdgeId, Batch)>>,
    edges: RefCell<Vec<InEdge>>,
    arrived: Notify,
    open: Cell<bool>,
}

struct InEdge {
    id: EdgeId,
    window: Window,
    grants_to: Option<Recipient<Granted>>,
    finished: bool,
}

impl Inbox {
    /// An inbox fed by `edges`, which share `window_bytes`. It grants nothing until [`Inbox::open`].
    pub fn new(edges: &[EdgeId], window_bytes: usize) -> Rc<Self> {
        let share = window_bytes / edges.len().max(1);
        let edges = edges.iter().map(|id| InEdge {
            id: *id,
            window: Window::new(share, 1),
            grants_to: None,
            finished: false,
        });
        Rc::new(Self {
            queue: RefCell::default(),
            edges: RefCell::new(edges.collect()),
            arrived: Notify::new(),
            open: Cell::new(false),
        })
    }

    /// Takes a message of an edge.
    pub fn take(&self, arrival: Arrival) {
        match arrival {
            Arrival::Joined(id, grants_to) => self.with_edge(id, |edge| {
                edge.grants_to = Some(grants_to);
                if self.open.get() { edge.window.open() } else { None }
            }),
            Arrival::Batch(id, batch) => {
                self.with_edge(id, |edge| {
                    edge.window.receive(batch.cost());
                    None
                });
                self.queue.borrow_mut().push_back((id, batch));
            }
            Arrival::Finished(id) => self.with_edge(id, |edge| {
                edge.finished = true;
                None
            }),
        }
        self.arrived.notify_one();
    }

    /// Starts granting demand.
    pub fn open(&self) {
        self.open.set(true);
        self.each_edge(Window::open);
    }

    /// Grants nothing more until it is opened again.
    pub fn close(&self) {
        self.open.set(false);
        self.each_edge(|window| {
            window.close();
            None
        });
    }

    /// The next batch, in arrival order; none once every upstream actor has finished. Cancel-safe.
    pub async fn next(self: &Rc<Self>) -> Option<Held> {
        loop {
            if let Some(held) = self.try_next() {
                return Some(held);
            }
            if self.is_finished() {
                return None;
            }
            self.restore();
            self.arrived.notified().await;
        }
    }

    /// Restores the whole window of every edge: for a receiver that has nothing to do.
    pub fn restore(&self) {
        self.each_edge(Window::idle);
    }

    /// The next batch, if one is there.
    pub fn try_next(self: &Rc<Self>) -> Option<Held> {
        let (edge, batch) = self.queue.borrow_mut().pop_front()?;
        Some(Held {
            edge,
            cost: batch.cost(),
            batch: Some(batch),
            inbox: self.clone(),
        })
    }

    /// True once every upstream actor has finished and all that came was taken out.
    pub fn is_finished(&self) -> bool {
        self.queue.borrow().is_empty() && self.edges.borrow().iter().all(|edge| edge.finished)
    }

    /// Bytes received and not let go of, all edges together.
    pub fn held_bytes(&self) -> u64 {
        self.edges.borrow().iter().map(|edge| edge.window.held()).sum()
    }

    fn release(&self, id: EdgeId, cost: usize) {
        self.with_edge(id, |edge| edge.window.release(cost));
    }

    fn with_edge(&self, id: EdgeId, act: impl FnOnce(&mut InEdge) -> Option<Grant>) {
        if let Some(edge) = self.edges.borrow_mut().iter_mut().find(|edge| edge.id == id) {
            let grant = act(edge);
            edge.tell(grant);
        }
    }

    fn each_edge(&self, act: impl Fn(&mut Window) -> Option<Grant>) {
        for edge in self.edges.borrow_mut().iter_mut() {
            let grant = if edge.grants_to.is_some() {
                act(&mut edge.window)
            } else {
                None
            };
            edge.tell(grant);
        }
    }
}

impl InEdge {
    fn tell(&self, grant: Option<Grant>) {
        if let (Some(grant), Some(to)) = (grant, &self.grants_to) {
            to.do_send(Granted(self.id, grant));
        }
    }
}

/// A batch taken from an [`Inbox`]. Dropping this lets go of its bytes and so returns the demand.
pub struct Held {
    edge: EdgeId,
    cost: usize,
    batch: Option<Batch>,
    inbox: Rc<Inbox>,
}

impl Held {
    /// Takes the batch out; its demand stays taken until the `Held` itself is dropped.
    pub fn take(&mut self) -> Option<Batch> {
        self.batch.take()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.inbox.release(self.edge, self.cost);
    }
}
