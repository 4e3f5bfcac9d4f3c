//! The processor: hosts a processor plugin, on the data thread when it is cheap, else on threads of its own.

mod held;
mod inline;
mod outputs;
pub mod reorder;
pub(crate) mod runner;
#[cfg(test)]
mod tests;
mod tick;
mod workers;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use actix::prelude::*;
use futures_util::FutureExt;
use futures_util::future::{Either, ready};

use super::{Ended, Order, Outcome, panic_text};
use crate::find::Find;
use crate::mailbox::{Arrival, Edge, EdgeId, Granted, Inbox};
use crate::plugin::{Blueprint, Context as PluginContext, DynProcessor, Placement};
use crate::telemetry::Tracer;
use outputs::Outputs;
use workers::{Done, Pool};

/// What a processor is made of.
#[derive(Clone)]
pub struct ProcessorParts {
    /// Name, folder and meters.
    pub context: PluginContext,
    /// The plugin.
    pub plugin: Blueprint<dyn DynProcessor>,
    /// Bytes that may wait for or be in it.
    pub window_bytes: usize,
    /// Instances, each on a thread of its own when there are several.
    pub workers: usize,
    /// Where it runs.
    pub placement: Placement,
    /// The edges that feed it.
    pub upstream: Vec<EdgeId>,
    /// Where each output leads: name (empty for the main one), edges.
    pub outputs: Vec<(String, Vec<Edge>)>,
    /// Makes its spans.
    pub tracer: Tracer,
    /// Hears how it ended.
    pub supervisor: Recipient<Ended>,
}

/// The actor.
pub struct Processor {
    parts: ProcessorParts,
    inbox: Rc<Inbox>,
    outputs: Rc<Outputs>,
    pool: Option<Rc<Pool>>,
}

impl Processor {
    /// Made on the thread it runs on.
    pub fn new(parts: ProcessorParts) -> Self {
        Self {
            inbox: Inbox::new(&parts.upstream, parts.window_bytes),
            outputs: Rc::new(Outputs::new(&parts)),
            pool: None,
            parts,
        }
    }
}

impl Actor for Processor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.outputs.join(&ctx.address().recipient());
        let (parts, inbox, outputs) = (self.parts.clone(), self.inbox.clone(), self.outputs.clone());
        let work = if parts.workers == 1 && parts.placement == Placement::Data {
            Either::Left(inline::work(parts, inbox, outputs))
        } else {
            Either::Right(match Pool::start(&parts, &ctx.address().recipient()) {
                Ok(pool) => {
                    let pool = Rc::new(pool);
                    self.pool = Some(pool.clone());
                    Either::Left(workers::work(pool, inbox, outputs))
                }
                Err(error) => Either::Right(ready(Outcome::Failed(error.to_string()))),
            })
        };
        // A plugin may panic while it is dropped; the supervisor must hear of that too.
        let work = AssertUnwindSafe(work)
            .catch_unwind()
            .map(|ended| ended.unwrap_or_else(|panic| Outcome::Failed(dropped_badly(&*panic))));
        ctx.spawn(work.into_actor(self).map(|outcome, processor, ctx| {
            processor.outputs.finish();
            processor.parts.supervisor.do_send(Ended {
                actor: processor.parts.context.actor.clone(),
                outcome,
            });
            ctx.stop();
        }));
    }
}

fn dropped_badly(panic: &(dyn Any + Send)) -> String {
    format!(
        "the plugin panicked where it must not, such as in its `drop`: {}",
        panic_text(panic)
    )
}

impl Handler<Arrival> for Processor {
    type Result = ();

    fn handle(&mut self, arrival: Arrival, _: &mut Self::Context) {
        self.inbox.take(arrival);
    }
}

impl Handler<Find> for Processor {
    type Result = MessageResult<Find>;

    fn handle(&mut self, Find(query): Find, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.inbox.find(&query).into())
    }
}

impl Handler<Granted> for Processor {
    type Result = ();

    fn handle(&mut self, granted: Granted, _: &mut Self::Context) {
        self.outputs.grant(granted);
    }
}

impl Handler<Done> for Processor {
    type Result = ();

    fn handle(&mut self, done: Done, _: &mut Self::Context) {
        if let Some(pool) = &self.pool {
            pool.take(done);
        }
    }
}

impl Handler<Order> for Processor {
    type Result = ();

    fn handle(&mut self, order: Order, ctx: &mut Self::Context) {
        if order == Order::Terminate {
            self.outputs.finish();
            ctx.stop();
        }
    }
}
