//! The downstream end of edges: holds what arrived, and grants more.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use actix::prelude::*;
use tokio::sync::Notify;

use super::{Arrival, EdgeId, Granted};
use crate::batch::Batch;
use crate::demand::{Grant, Window};
use crate::find::{Found, Query, State, look};
use crate::receipt::Receipt;
use crate::telemetry::now_ns;

/// The downstream end of an actor's edges: what arrived, and the windows that let more come.
pub struct Inbox {
    queue: RefCell<VecDeque<Queued>>,
    /// Copies of batches that were taken out and not let go of, for those who look for one.
    shown: RefCell<Vec<InHand>>,
    next_ticket: Cell<u64>,
    edges: RefCell<Vec<InEdge>>,
    arrived: Notify,
    open: Cell<bool>,
    window_bytes: u64,
}

struct Queued {
    edge: EdgeId,
    batch: Batch,
    since_ns: u64,
}

/// A batch in the hands of the actor.
struct InHand {
    ticket: u64,
    batch: Batch,
    since_ns: u64,
    state: State,
}

struct InEdge {
    id: EdgeId,
    window: Window,
    /// It sent something since its window was last restored whole.
    active: bool,
    grants_to: Option<Recipient<Granted>>,
    finished: bool,
}

impl Inbox {
    /// An inbox fed by `edges`. It grants nothing until [`Inbox::open`].
    ///
    /// The edges share `window_bytes`: half of it is divided among all, the other half among those that are sending. What is granted on all
    /// edges together never passes `window_bytes`.
    pub fn new(edges: &[EdgeId], window_bytes: usize) -> Rc<Self> {
        let base = base_share(window_bytes as u64, edges.len());
        let edges = edges.iter().map(|id| InEdge {
            id: *id,
            window: Window::new(base, 1),
            active: false,
            grants_to: None,
            finished: false,
        });
        Rc::new(Self {
            queue: RefCell::default(),
            shown: RefCell::default(),
            next_ticket: Cell::new(0),
            edges: RefCell::new(edges.collect()),
            arrived: Notify::new(),
            open: Cell::new(false),
            window_bytes: window_bytes as u64,
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
                    edge.active = true;
                    None
                });
                let since_ns = now_ns();
                self.queue.borrow_mut().push_back(Queued {
                    edge: id,
                    batch,
                    since_ns,
                });
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
        self.share();
        self.each_edge(Window::idle);
        for edge in self.edges.borrow_mut().iter_mut() {
            edge.active = edge.window.held() > 0;
        }
    }

    /// The next batch, if one is there.
    pub fn try_next(self: &Rc<Self>) -> Option<Held> {
        let Queued { edge, batch, .. } = self.queue.borrow_mut().pop_front()?;
        let ticket = self.next_ticket.replace(self.next_ticket.get() + 1);
        Some(Held {
            edge,
            ticket,
            cost: batch.cost(),
            batch: Some(batch),
            inbox: self.clone(),
        })
    }

    /// True once every upstream actor has finished and all that came was taken out.
    pub fn is_finished(&self) -> bool {
        self.queue.borrow().is_empty() && self.edges.borrow().iter().all(|edge| edge.finished)
    }

    /// Resolves when that is so; nothing is taken out meanwhile. Cancel-safe; not beside [`Inbox::next`].
    pub async fn finished(&self) {
        while !self.is_finished() {
            self.arrived.notified().await;
        }
    }

    /// Bytes received and not let go of, all edges together.
    pub fn held_bytes(&self) -> u64 {
        self.edges.borrow().iter().map(|edge| edge.window.held()).sum()
    }

    /// What of a message is in the hands of the actor, or waits here for it.
    pub fn find(&self, query: &Query) -> Vec<Found> {
        let mut all = Vec::new();
        for held in self.shown.borrow().iter() {
            let found = look(&held.batch, query, &held.state, Some(held.since_ns));
            all.extend(found.into_iter().map(|(_, found)| found));
        }
        let mut before = 0;
        for queued in self.queue.borrow().iter() {
            let queue = State::Queued { frames_ahead: before };
            for (index, mut found) in look(&queued.batch, query, &queue, Some(queued.since_ns)) {
                let frames_ahead = before + index as u64;
                found.state = State::Queued { frames_ahead };
                all.push(found);
            }
            before += queued.batch.len() as u64;
        }
        all
    }

    fn release(&self, id: EdgeId, cost: usize) {
        self.share();
        self.with_edge(id, |edge| edge.window.release(cost));
    }

    /// Moves the window to the edges that send. One edge has it all.
    fn share(&self) {
        let mut edges = self.edges.borrow_mut();
        if edges.len() < 2 {
            return;
        }
        let base = base_share(self.window_bytes, edges.len());
        let active = edges.iter().filter(|edge| edge.active).count().max(1) as u64;
        let mut outstanding: u64 = edges.iter().map(|edge| edge.window.outstanding()).sum();
        for edge in edges.iter_mut() {
            let others = outstanding - edge.window.outstanding();
            let fair = base + if edge.active { self.window_bytes / 2 / active } else { 0 };
            // What the others were granted before cannot be taken back.
            let size = fair.min(self.window_bytes.saturating_sub(others)).max(base);
            edge.window.resize(size);
            outstanding = others + edge.window.outstanding().max(size);
        }
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

/// What an edge keeps of a shared window while it is quiet.
fn base_share(window_bytes: u64, edges: usize) -> u64 {
    if edges < 2 {
        window_bytes
    } else {
        window_bytes / 2 / edges as u64
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
    ticket: u64,
    cost: usize,
    batch: Option<Batch>,
    inbox: Rc<Inbox>,
}

impl Held {
    /// Lets the batch be found as long as this lives, in this state. Call it first before the batch is taken out, then whenever the state changes.
    pub fn show(&self, state: State) {
        let mut shown = self.inbox.shown.borrow_mut();
        let since_ns = now_ns();
        if let Some(known) = shown.iter_mut().find(|known| known.ticket == self.ticket) {
            (known.state, known.since_ns) = (state, since_ns);
        } else if let Some(batch) = &self.batch {
            shown.push(InHand {
                ticket: self.ticket,
                batch: batch.share(Receipt::none()),
                since_ns,
                state,
            });
        }
    }

    /// Takes the batch out; its demand stays taken until the `Held` itself is dropped.
    pub fn take(&mut self) -> Option<Batch> {
        self.batch.take()
    }

    /// Gives the batch's bytes back to the window before the rest of this is dropped: for one that is bounded otherwise from here on.
    pub fn release(&mut self) {
        let cost = std::mem::take(&mut self.cost);
        if cost > 0 {
            self.inbox.release(self.edge, cost);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.inbox
            .shown
            .borrow_mut()
            .retain(|shown| shown.ticket != self.ticket);
        self.release();
    }
}
