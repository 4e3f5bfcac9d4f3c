//! The downstream end of edges: holds what arrived, and grants more.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use actix::prelude::*;
use tokio::sync::Notify;

use super::{Arrival, EdgeId, Granted};
use crate::batch::Batch;
use crate::demand::{Grant, Window};

/// The downstream end of an actor's edges: what arrived, and the windows that let more come.
pub struct Inbox {
    queue: RefCell<VecDeque<(EdgeId, Batch)>>,
    edges: RefCell<Vec<InEdge>>,
    arrived: Notify,
    open: Cell<bool>,
    window_bytes: u64,
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
        self.share();
        self.each_edge(Window::idle);
        for edge in self.edges.borrow_mut().iter_mut() {
            edge.active = edge.window.held() > 0;
        }
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
