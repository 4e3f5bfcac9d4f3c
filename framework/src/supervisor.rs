//! The supervisor: hears how actors end, runs the shutdown, and says at last what became of everything.

use std::collections::BTreeMap;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;

use crate::actors::{Ended, Order, Outcome};
use crate::config::Role;
use crate::shutdown::{Action, Shutdown, Stage};

/// How long a terminated actor has to let go of what it holds, so that it is counted. One that hangs is not waited for any longer.
const GRACE: Duration = Duration::from_millis(100);

/// How long a terminated store has to close its files. What it committed is safe without that too.
const STORE_GRACE: Duration = Duration::from_secs(2);

/// What the outside asks of a supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub enum Wish {
    /// Come to an end, in order, within the deadline.
    Shutdown,
    /// End now.
    Force,
}

/// How a pipeline ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Which actor failed first, and why.
    pub failure: Option<(String, String)>,
    /// True when the deadline or a second signal cut actors short.
    pub forced: bool,
}

/// The actor; it runs on the system's own thread, never on a data Arbiter.
pub struct Supervisor {
    pipeline: String,
    orders: BTreeMap<String, Recipient<Order>>,
    /// Orders for actors that have not said yet where they take them: another may fail before all have started.
    waiting: BTreeMap<String, Order>,
    shutdown: Shutdown,
    deadline: Duration,
    ending: Ending,
    done: Option<oneshot::Sender<Ending>>,
}

/// Tells the supervisor where an actor takes orders.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Started {
    /// The actor.
    pub actor: String,
    /// Where it takes orders.
    pub orders: Recipient<Order>,
}

impl Supervisor {
    /// Supervises `actors`; `done` is told when all have ended.
    pub fn new(pipeline: &str, actors: Vec<(String, Role)>, deadline: Duration, done: oneshot::Sender<Ending>) -> Self {
        Self {
            pipeline: pipeline.to_owned(),
            orders: BTreeMap::new(),
            waiting: BTreeMap::new(),
            shutdown: Shutdown::new(actors),
            deadline,
            ending: Ending {
                failure: None,
                forced: false,
            },
            done: Some(done),
        }
    }

    fn begin(&mut self, ctx: &mut Context<Self>) {
        let action = self.shutdown.begin();
        if action.is_some() {
            ctx.run_later(self.deadline, |supervisor, ctx| supervisor.at_deadline(ctx));
        }
        self.give(action, ctx);
    }

    fn at_deadline(&mut self, ctx: &mut Context<Self>) {
        if self.shutdown.stage() == Stage::Ended {
            return;
        }
        let late: Vec<_> = self.shutdown.alive().collect();
        tracing::warn!(pipeline = %self.pipeline, "shutdown deadline reached; still working: {}", late.join(", "));
        self.ending.forced = true;
        for action in self.shutdown.deadline() {
            self.give(Some(action), ctx);
        }
        // Only stores are left. One whose disk takes nothing must not keep the process for ever.
        ctx.run_later(self.deadline, |supervisor, ctx| supervisor.force(ctx));
    }

    fn force(&mut self, ctx: &mut Context<Self>) {
        if self.shutdown.stage() != Stage::Ended {
            self.ending.forced = true;
            let action = self.shutdown.force();
            self.give(Some(action), ctx);
        }
    }

    fn give(&mut self, action: Option<Action>, ctx: &mut Context<Self>) {
        let Some(Action { actors, order }) = action else { return };
        for actor in actors {
            match self.orders.get(&actor) {
                Some(orders) => orders.do_send(order),
                None => drop(self.waiting.insert(actor.clone(), order)),
            }
            // A terminated actor does not report, except a store, which closes its files first.
            if order == Order::Terminate {
                let grace = if self.shutdown.is_store(&actor) {
                    STORE_GRACE
                } else {
                    GRACE
                };
                ctx.run_later(grace, move |supervisor, ctx| supervisor.note_end(&actor, ctx));
            }
        }
    }

    fn note_end(&mut self, actor: &str, ctx: &mut Context<Self>) {
        if !self.shutdown.alive().any(|alive| alive == actor) {
            return;
        }
        let action = self.shutdown.ended(actor);
        self.give(action, ctx);
        if self.shutdown.stage() == Stage::Ended {
            if let Some(done) = self.done.take() {
                // Nobody waits any more when the process is being forced down.
                let _ = done.send(self.ending.clone());
            }
            ctx.stop();
        }
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;
}

impl Handler<Started> for Supervisor {
    type Result = ();

    fn handle(&mut self, started: Started, _: &mut Self::Context) {
        if let Some(order) = self.waiting.remove(&started.actor) {
            started.orders.do_send(order);
        }
        self.orders.insert(started.actor, started.orders);
    }
}

impl Handler<Ended> for Supervisor {
    type Result = ();

    fn handle(&mut self, ended: Ended, ctx: &mut Self::Context) {
        if let Outcome::Failed(reason) = ended.outcome {
            tracing::error!(pipeline = %self.pipeline, actor = %ended.actor, "the actor failed, so the pipeline ends: {reason}");
            self.ending.failure.get_or_insert((ended.actor.to_string(), reason));
            self.begin(ctx);
        }
        self.note_end(&ended.actor, ctx);
    }
}

impl Handler<Wish> for Supervisor {
    type Result = ();

    fn handle(&mut self, wish: Wish, ctx: &mut Self::Context) {
        match wish {
            Wish::Shutdown => self.begin(ctx),
            Wish::Force => self.force(ctx),
        }
    }
}
