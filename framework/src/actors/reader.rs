//! The socket reader: hosts a source, gives its batches numbers, receipts and traces, and sends them under demand.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;

use actix::prelude::*;
use futures_util::FutureExt;

use super::{Ended, Order, Outcome, build, panic_text};
use crate::backoff::Backoff;
use crate::config::{OnPartial, RetryConfig};
use crate::error::Reaction;
use crate::find::Find;
use crate::mailbox::{Edge, Granted, Outlet};
use crate::plugin::{Blueprint, Context as PluginContext, DynSource, Feed, FeedParts, FramingSpec};
use crate::receipt::{Fate, Ledger};
use crate::spill::Streams;
use crate::telemetry::Tracer;

/// A source that panics this often in a row is given up.
const PANICS_IN_A_ROW: u32 = 5;

/// What a reader is made of.
pub struct ReaderParts {
    /// Name, folder and meters.
    pub context: PluginContext,
    /// The source.
    pub source: Blueprint<dyn DynSource>,
    /// The epoch of the numbers it gives.
    pub epoch: u64,
    /// How its bytes are cut.
    pub framing: FramingSpec,
    /// Bytes of unfinished frames over all its connections.
    pub partial_limit: usize,
    /// What happens to a frame that a stream's end leaves unfinished.
    pub on_partial: OnPartial,
    /// How far the store behind it has streams of other Aqueducts.
    pub streams: Streams,
    /// Where its batches go.
    pub edges: Vec<Edge>,
    /// Chooses which batches are traced.
    pub tracer: Tracer,
    /// Hears how it ended.
    pub supervisor: Recipient<Ended>,
}

/// The actor.
pub struct Reader {
    source: Blueprint<dyn DynSource>,
    context: PluginContext,
    feed: Feed,
    outlet: Rc<Outlet>,
    supervisor: Recipient<Ended>,
}

impl Reader {
    /// Made on the thread it runs on.
    pub fn new(parts: ReaderParts) -> Self {
        let outlet = Outlet::new(parts.edges);
        let feed = Feed::new(FeedParts {
            source: parts.context.actor.clone(),
            epoch: parts.epoch,
            framing: parts.framing,
            outlet: outlet.clone(),
            partial_limit: parts.partial_limit,
            on_partial: parts.on_partial,
            streams: parts.streams,
            ledger: counting_ledger(&parts.context),
            meters: parts.context.meters.clone(),
            tracer: parts.tracer,
        });
        Self {
            source: parts.source,
            context: parts.context,
            feed,
            outlet,
            supervisor: parts.supervisor,
        }
    }
}

/// A source keeps no copy of what it sent: what comes back dropped is lost, and counted by frames (the token).
fn counting_ledger(context: &PluginContext) -> Arc<Ledger> {
    let lost = context.meters.lost.clone();
    let settled_frames = context.meters.counter("settled");
    Ledger::counting(move |settled| {
        settled_frames.add(settled.token);
        if settled.fate == Fate::Dropped {
            lost.add(settled.token);
        }
    })
}

impl Actor for Reader {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.outlet.join(&ctx.address().recipient());
        let work = read(self.source.clone(), self.context.clone(), self.feed.clone());
        // A source may panic while it is dropped; the supervisor must hear of that too.
        let work = AssertUnwindSafe(work).catch_unwind().map(|ended| {
            ended.unwrap_or_else(|panic| Outcome::Failed(format!("the source panicked: {}", panic_text(&*panic))))
        });
        ctx.spawn(work.into_actor(self).map(|outcome, reader, ctx| {
            reader.outlet.finish();
            reader.supervisor.do_send(Ended {
                actor: reader.context.actor.clone(),
                outcome,
            });
            ctx.stop();
        }));
    }
}

impl Handler<Granted> for Reader {
    type Result = ();

    fn handle(&mut self, granted: Granted, _: &mut Self::Context) {
        self.outlet.grant(granted);
    }
}

impl Handler<Find> for Reader {
    type Result = MessageResult<Find>;

    fn handle(&mut self, Find(query): Find, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.feed.find(&query))
    }
}

impl Handler<Order> for Reader {
    type Result = ();

    fn handle(&mut self, order: Order, ctx: &mut Self::Context) {
        match order {
            Order::Drain => self.feed.stop(),
            Order::Terminate => {
                self.outlet.finish();
                ctx.stop();
            }
        }
    }
}

async fn read(plan: Blueprint<dyn DynSource>, context: PluginContext, feed: Feed) -> Outcome {
    let mut backoff = Backoff::new(RetryConfig::default());
    let mut panics = 0;
    loop {
        let mut source = match build(&plan, &context) {
            Ok(source) => source,
            Err(error) => return Outcome::Failed(error.to_string()),
        };
        match run(&mut *source, &context, &feed, &mut backoff).await {
            Ok(outcome) => return outcome,
            Err(panic) if panics + 1 < PANICS_IN_A_ROW => {
                panics += 1;
                context.counter("panics").add(1);
                tracing::error!(actor = %context.actor, "the source panicked and is built anew: {panic}");
            }
            Err(panic) => return Outcome::Failed(format!("the source panicked {PANICS_IN_A_ROW} times: {panic}")),
        }
    }
}

/// Runs a source until it ends; an error that it may recover from is waited out. `Err` is the text of a panic.
async fn run(
    source: &mut dyn DynSource,
    context: &PluginContext,
    feed: &Feed,
    backoff: &mut Backoff,
) -> Result<Outcome, String> {
    loop {
        let ended = AssertUnwindSafe(source.run(feed)).catch_unwind().await;
        let error = match ended {
            Ok(Ok(())) => return Ok(Outcome::Finished),
            Ok(Err(error)) => error,
            Err(panic) => return Err(panic_text(&*panic)),
        };
        if error.reaction() != Reaction::Retry {
            return Ok(Outcome::Failed(error.to_string()));
        }
        let wait = backoff.next(fastrand::f64());
        context.counter(error.failure().counter()).add(1);
        context.counter("retries").add(1);
        if backoff.attempts() == 1 {
            tracing::warn!(actor = %context.actor, "{error}; trying again");
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = feed.stopping() => return Ok(Outcome::Finished),
        }
    }
}
