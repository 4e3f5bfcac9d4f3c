//! The sender: hosts a sink. It connects and reconnects with backoff, resumes at the frame that failed, and settles receipts.

use std::cell::{Cell, RefCell};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use actix::prelude::*;
use futures_util::FutureExt;
use tokio::sync::Notify;

use super::{Ended, Order, Outcome, panic_text};
use crate::config::{Persist, RetryConfig};
use crate::find::{Find, State};
use crate::mailbox::{Arrival, Edge, EdgeId, Granted, Inbox, Outlet};
use crate::plugin::{Blueprint, Context as PluginContext, DynSink, FramingSpec, StoreReader};
use crate::telemetry::Tracer;

mod outgoing;
mod serving;
#[cfg(test)]
mod tests;
mod unacknowledged;
mod work;

/// What a sender is made of.
#[derive(Clone)]
pub struct SenderParts {
    /// Name, folder and meters.
    pub context: PluginContext,
    /// The sink.
    pub sink: Blueprint<dyn DynSink>,
    /// How frames are written.
    pub framing: FramingSpec,
    /// Bytes that may wait for or be in it.
    pub window_bytes: usize,
    /// How long it may go on delivering at shutdown; none: as long as the pipeline may.
    pub drain_deadline: Option<std::time::Duration>,
    /// How long it waits between attempts.
    pub retry: RetryConfig,
    /// The edges that feed it.
    pub upstream: Vec<EdgeId>,
    /// Where dead letters go.
    pub rejected: Vec<Edge>,
    /// The spill store that keeps frames while the destination is away, if there is one upstream.
    pub store: Option<StoreAbove>,
    /// The store in front, for a sink that reads it itself.
    pub reader: Option<StoreReader>,
    /// Makes its spans.
    pub tracer: Tracer,
    /// Hears how it ended.
    pub supervisor: Recipient<Ended>,
}

/// What a sender knows of the nearest spill store upstream.
#[derive(Debug, Clone)]
pub struct StoreAbove {
    /// Its name.
    pub name: String,
    /// What it has on disk.
    pub persist: Persist,
    /// What it sends downstream before some of it is settled.
    pub in_flight_bytes: u64,
}

/// The actor.
pub struct Sender {
    parts: SenderParts,
    inbox: Rc<Inbox>,
    rejected: Rc<Outlet>,
    drain: Rc<Drain>,
    trouble: Rc<RefCell<Trouble>>,
}

/// How the destination refuses, as far as whoever looks for a message is told.
#[derive(Default)]
struct Trouble {
    /// Attempts since it last took anything.
    attempts: u32,
    /// Why the last one failed.
    error: Option<String>,
}

/// The wish that the sender come to an end, as its task sees it.
#[derive(Default)]
struct Drain {
    wanted: Cell<bool>,
    told: Notify,
}

impl Drain {
    /// Resolves when an end is wanted. Cancel-safe; one waiter at a time.
    async fn wanted(&self) {
        while !self.wanted.get() {
            self.told.notified().await;
        }
    }
}

impl Sender {
    /// Made on the thread it runs on.
    pub fn new(parts: SenderParts) -> Self {
        Self {
            inbox: Inbox::new(&parts.upstream, parts.window_bytes),
            rejected: Outlet::new(parts.rejected.clone()),
            drain: Rc::default(),
            trouble: Rc::default(),
            parts,
        }
    }
}

impl Sender {
    fn end(&self, outcome: Outcome, ctx: &mut Context<Self>) {
        self.rejected.finish();
        self.parts.supervisor.do_send(Ended {
            actor: self.parts.context.actor.clone(),
            outcome,
        });
        ctx.stop();
    }
}

impl Actor for Sender {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.rejected.join(&ctx.address().recipient());
        let (parts, drain, trouble) = (self.parts.clone(), self.drain.clone(), self.trouble.clone());
        let work = match self.parts.reader.take() {
            Some(store) => serving::serve(parts, store, drain, trouble).left_future(),
            None => work::work(parts, self.inbox.clone(), self.rejected.clone(), drain, trouble).right_future(),
        };
        let guarded = AssertUnwindSafe(work).catch_unwind().map(|ended| {
            ended.unwrap_or_else(|panic| Outcome::Failed(format!("the sink panicked: {}", panic_text(&*panic))))
        });
        ctx.spawn(
            guarded
                .into_actor(self)
                .map(|outcome, sender, ctx| sender.end(outcome, ctx)),
        );
    }
}

impl Handler<Arrival> for Sender {
    type Result = ();

    fn handle(&mut self, arrival: Arrival, _: &mut Self::Context) {
        self.inbox.take(arrival);
    }
}

impl Handler<Find> for Sender {
    type Result = MessageResult<Find>;

    fn handle(&mut self, Find(query): Find, _: &mut Self::Context) -> Self::Result {
        let mut found = self.inbox.find(&query);
        let trouble = self.trouble.borrow();
        let said = self.parts.context.meters.snapshot().texts.remove("state");
        for one in &mut found {
            if let State::Sending { attempts, error } = &mut one.state {
                (*attempts, *error) = (trouble.attempts, trouble.error.clone());
            }
            one.remark.clone_from(&said);
        }
        MessageResult(found.into())
    }
}

impl Handler<Granted> for Sender {
    type Result = ();

    fn handle(&mut self, granted: Granted, _: &mut Self::Context) {
        self.rejected.grant(granted);
    }
}

impl Handler<Order> for Sender {
    type Result = ();

    fn handle(&mut self, order: Order, ctx: &mut Self::Context) {
        match order {
            Order::Drain => {
                self.drain.wanted.set(true);
                self.drain.told.notify_one();
                if let Some(deadline) = self.parts.drain_deadline {
                    ctx.run_later(deadline, |sender, ctx| {
                        tracing::warn!(actor = %sender.parts.context.actor, "drain_deadline reached: what is left counts as dropped");
                        sender.end(Outcome::Finished, ctx);
                    });
                }
            }
            Order::Terminate => {
                self.rejected.finish();
                ctx.stop();
            }
        }
    }
}
