//! Edges between actors: an [`Outlet`] sends batches under demand, an [`Inbox`] holds what arrived and grants more.
//!
//! The capacity of an actix mailbox bounds nothing here: messages travel by `do_send`, which ignores it. Demand is the bound: since a
//! batch costs at least [`LEAST_COST_BYTES`](crate::batch::LEAST_COST_BYTES), the mailbox holds at most `window / 4 KiB` of them. What travels beside them
//! (grants, settlements, events of the disk) is bounded by what is in flight, and may come all at once.

mod inbox;
mod outlet;
#[cfg(test)]
mod tests;

use actix::prelude::*;

pub use inbox::{Held, Inbox};
pub use outlet::Outlet;

use crate::batch::Batch;
use crate::demand::Grant;
use crate::telemetry::{Counter, Gauge, uptime_ns};

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
    /// Since when the upstream actor has been waiting for demand, in nanoseconds since the system's start; 0 while it is not.
    pub waiting_since_ns: Gauge,
    /// All such waits together, in nanoseconds.
    pub waited_ns: Counter,
    /// The last wait that is over, in nanoseconds.
    pub last_wait_ns: Gauge,
}

impl EdgeMeters {
    /// Adds the wait that is under way, if one is, to the waits that are over.
    fn end_wait(&self) {
        let since = self.waiting_since_ns.get();
        if since != 0 {
            let waited_ns = uptime_ns().saturating_sub(since);
            self.waited_ns.add(waited_ns);
            self.last_wait_ns.set(waited_ns);
            self.waiting_since_ns.set(0);
        }
    }
}
