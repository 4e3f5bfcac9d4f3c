//! Runs a sink by the actor that runs it in a pipeline, with the test as everything upstream.

use std::marker::PhantomData;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use actix::prelude::*;

use super::frames::{FramingChoice, Seen};
use super::watched::{Stage, Watched, address, failure, must, number, said};
use super::{DeadLetter, lines, options};
use crate::actors::sender::{Sender, SenderParts, StoreAbove};
use crate::actors::{Ended, Order, Outcome};
use crate::batch::{Position, StreamId};
use crate::config::Persist;
use crate::config::RetryConfig;
use crate::demand::Grant;
use crate::error::{Error, Result};
use crate::framing::Framing;
use crate::mailbox::{Arrival, Edge, EdgeMeters, Granted};
use crate::plugin::{Context as PluginContext, Registry, Sink};
use crate::receipt::{Fate, Ledger};
use crate::telemetry::Tracer;
use crate::units::Period;

/// Bytes that a sink may take at once in a test: so many that no test waits for them.
const WINDOW_BYTES: usize = 16 * 1024 * 1024;

/// The edge of the rejected frames; the one into the sink is 0.
const REJECTED_EDGE: u32 = 1;

/// A test of the sink `S` with these options, in TOML.
pub fn sink<S: Sink>(options: &str) -> SinkKit<S> {
    SinkKit {
        options: options.to_owned(),
        framing: FramingChoice::lines(),
        folder: PathBuf::new(),
        plugin: PhantomData,
    }
}

/// A sink about to be run, as behind a spill store: at [`RunningSink::stop`] it gives back what it cannot deliver.
#[must_use = "it does nothing before `start` or `frames`"]
pub struct SinkKit<S> {
    options: String,
    framing: FramingChoice,
    folder: PathBuf,
    plugin: PhantomData<S>,
}

impl<S> Clone for SinkKit<S> {
    fn clone(&self) -> Self {
        Self {
            options: self.options.clone(),
            framing: self.framing.clone(),
            folder: self.folder.clone(),
            plugin: PhantomData,
        }
    }
}

impl<S: Sink> SinkKit<S> {
    /// Other options.
    pub(super) fn options(mut self, options: &str) -> Self {
        self.options = options.to_owned();
        self
    }

    /// Where relative paths lead.
    pub(super) fn base(&self) -> &std::path::Path {
        &self.folder
    }

    /// These frames as it writes them.
    pub(super) fn wire(&self, frames: &[Vec<u8>]) -> Result<Vec<u8>, String> {
        let framing = self.framing.spec().and_then(|spec| spec.build());
        let framing = framing.map_err(|error| error.to_string())?;
        let mut wire = Vec::new();
        for frame in frames {
            framing.encode(frame, &mut wire).map_err(|error| error.to_string())?;
        }
        Ok(wire)
    }

    /// How frames are written, by a table as in a pipeline's file: `type = "length_delimited"`. Unless it is set, lines.
    pub fn framing(mut self, table: &str) -> Self {
        self.framing = FramingChoice::table(table);
        self
    }

    /// The same with a framing of one's own, by its options in TOML.
    pub fn custom_framing<F: Framing>(mut self, options: &str) -> Self {
        self.framing = FramingChoice::custom::<F>(options);
        self
    }

    /// Where relative paths of its options lead.
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = folder.into();
        self
    }

    /// Starts it on a thread of its own, where it opens; attempts follow each other after 1 to 10 ms.
    ///
    /// # Panics
    /// When the options or the framing do not fit.
    #[track_caller]
    pub fn start(self) -> RunningSink {
        must(self.try_start())
    }

    /// Like [`SinkKit::start`], for what is meant to fail.
    ///
    /// # Errors
    /// When the options or the framing do not fit.
    pub fn try_start(self) -> Result<RunningSink> {
        let context = PluginContext::new("test", S::NAME, &self.folder);
        let mut registry = Registry::default();
        let plan = (registry.sink::<S>()).sink_blueprint(S::NAME, &options(&self.options)?);
        let plan = plan.ok_or_else(|| Error::fatal("the plugin has no name"))?;
        crate::actors::build(&plan, &context)?;
        let framing = self.framing.spec()?;
        let state = Arc::<Watched<State>>::default();
        let (on_stage, sender_context) = (state.clone(), context.clone());
        let (stage, (to, orders)) = Stage::start(move || {
            let around = Around(on_stage).start();
            let parts = SenderParts {
                context: sender_context,
                sink: plan,
                framing,
                window_bytes: WINDOW_BYTES,
                drain_deadline: None,
                retry: quick(),
                upstream: vec![0],
                rejected: vec![Edge {
                    id: REJECTED_EDGE,
                    to: around.clone().recipient(),
                    meters: EdgeMeters::default(),
                }],
                store: Some(StoreAbove {
                    name: "test".to_owned(),
                    persist: Persist::Always,
                    in_flight_bytes: u64::MAX,
                }),
                reader: None,
                tracer: Tracer::off(),
                supervisor: around.clone().recipient(),
            };
            let sender = Sender::new(parts).start();
            sender.do_send(Arrival::Joined(0, around.recipient()));
            (sender.clone().recipient::<Arrival>(), sender.recipient::<Order>())
        })?;
        let settled = state.clone();
        let ledger = Ledger::counting(move |told| {
            settled.change(|state| state.settled.push((told.token, told.fate)));
        });
        Ok(RunningSink {
            state,
            stage,
            to,
            orders,
            ledger,
            context,
        })
    }

    /// Opens it, delivers these frames as one batch, waits until that is settled, and ends it.
    ///
    /// # Panics
    /// As [`SinkKit::start`], [`RunningSink::wait_settled`] and [`RunningSink::stop`].
    #[track_caller]
    pub fn frames<F: AsRef<[u8]>>(self, frames: impl IntoIterator<Item = F>) -> SinkRun {
        let running = self.start();
        running.send(frames);
        running.wait_settled(1);
        running.stop()
    }
}

fn quick() -> RetryConfig {
    RetryConfig {
        first: Period::milliseconds(1),
        max: Period::milliseconds(10),
        ..RetryConfig::default()
    }
}

#[derive(Default)]
struct State {
    granted: u64,
    batches: u64,
    frames: u64,
    settled: Vec<(u64, Fate)>,
    rejected: Vec<DeadLetter>,
    ended: Option<Outcome>,
}

/// Everything around the sink: upstream, where its dead letters go, its supervisor.
struct Around(Arc<Watched<State>>);

impl Actor for Around {
    type Context = Context<Self>;
}

impl Handler<Granted> for Around {
    type Result = ();

    fn handle(&mut self, granted: Granted, _: &mut Self::Context) {
        self.0
            .change(|state| state.granted = state.granted.max(granted.1.total));
    }
}

impl Handler<Arrival> for Around {
    type Result = ();

    fn handle(&mut self, arrival: Arrival, _: &mut Self::Context) {
        match arrival {
            Arrival::Joined(id, grants_to) => grants_to.do_send(Granted(
                id,
                Grant {
                    epoch: 1,
                    total: u64::MAX,
                },
            )),
            Arrival::Batch(_, batch) => {
                self.0
                    .change(|state| state.rejected.extend(Seen::all(&batch).map(letter)));
                batch.receipt.settle(Fate::Rejected);
            }
            Arrival::Finished(_) => {}
        }
    }
}

impl Handler<Ended> for Around {
    type Result = ();

    fn handle(&mut self, ended: Ended, _: &mut Self::Context) {
        self.0.change(|state| state.ended = Some(ended.outcome));
    }
}

fn letter(seen: Seen) -> DeadLetter {
    DeadLetter {
        frame: seen.text(),
        reason: seen
            .attributes
            .get("aqueduct.rejected.reason")
            .cloned()
            .unwrap_or_default(),
    }
}

/// A sink that runs. Dropping it ends it, as a forced shutdown does.
pub struct RunningSink {
    state: Arc<Watched<State>>,
    stage: Stage,
    to: Recipient<Arrival>,
    orders: Recipient<Order>,
    ledger: Arc<Ledger>,
    context: PluginContext,
}

impl RunningSink {
    /// Gives it a batch of these frames; batches are counted from 0. Does not wait, not even until it is open.
    pub fn send<F: AsRef<[u8]>>(&self, frames: impl IntoIterator<Item = F>) {
        let frames: Vec<F> = frames.into_iter().collect();
        let (mut token, mut first) = (0, 0);
        self.state.change(|state| {
            (token, first) = (state.batches, state.frames);
            state.batches += 1;
            state.frames += frames.len() as u64;
        });
        let mut batch = lines(frames, first, self.ledger.issue(token, 1));
        // As a durable store in front of it would have it.
        batch.position = Some(Position {
            stream: StreamId(1),
            first,
        });
        self.to.do_send(Arrival::Batch(0, batch));
    }

    /// Waits until it is open, and so grants demand.
    ///
    /// # Panics
    /// When it does not open.
    #[track_caller]
    pub fn wait_open(&self) {
        must(self.try_wait("the sink is open", |state| (state.granted > 0).then_some(())));
    }

    /// True once it has been open: before, nothing is sent to it in a pipeline.
    pub fn was_open(&self) -> bool {
        self.state.lock().granted > 0
    }

    /// Waits until this many batches are settled, and gives the fates of the first ones sent, in the order of sending.
    ///
    /// # Panics
    /// When they are not settled, or the sink ends before.
    #[track_caller]
    pub fn wait_settled(&self, batches: usize) -> Vec<Fate> {
        must(self.try_wait_settled(batches))
    }

    pub(super) fn try_wait_settled(&self, batches: usize) -> Result<Vec<Fate>, String> {
        let settled = self.try_wait(&format!("{batches} batches are settled"), |state| {
            (state.settled.len() >= batches).then(|| state.settled.clone())
        });
        let mut settled = settled?;
        settled.sort_by_key(|(batch, _)| *batch);
        Ok(settled.into_iter().map(|(_, fate)| fate).collect())
    }

    fn try_wait<R>(&self, what: &str, mut look: impl FnMut(&mut State) -> Option<R>) -> Result<R, String> {
        self.state.wait(what, |state| match (look(state), &state.ended) {
            (Some(found), _) => Some(Ok(found)),
            (None, Some(outcome)) => Some(Err(format!("the sink ended ({outcome:?}) before {what}"))),
            (None, None) => None,
        })?
    }

    /// The batches that are settled and their fates, in the order they were settled. Every batch should come here once.
    pub fn settled(&self) -> Vec<(u64, Fate)> {
        self.state.lock().settled.clone()
    }

    /// The frames it rejected, in order.
    pub fn rejected(&self) -> Vec<DeadLetter> {
        self.state.lock().rejected.clone()
    }

    /// Waits until it says something under this name, with [`Context::say`](crate::plugin::Context::say).
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn text(&self, name: &str) -> String {
        let what = format!("the sink says something as {name:?}");
        must(self.try_wait(&what, |_| said(&self.context.meters, name)))
    }

    /// Waits until it says where it is `listening`.
    ///
    /// # Panics
    /// When it does not, or what it says is no address.
    #[track_caller]
    pub fn address(&self) -> SocketAddr {
        must(address(&self.text("listening")))
    }

    /// The value of one of its counters or gauges; `opened`, `retries` and `disconnects` are the framework's.
    pub fn count(&self, meter: &str) -> u64 {
        number(&self.context.meters, meter)
    }

    /// Waits until one of its counters or gauges has at least this value.
    ///
    /// # Panics
    /// When it does not come to it.
    #[track_caller]
    pub fn wait_count(&self, meter: &str, least: u64) {
        let what = format!("{meter} >= {least}");
        must(self.try_wait(&what, |_| (self.count(meter) >= least).then_some(())));
    }

    /// Sends nothing more, as at a shutdown, and waits until it has closed. What it cannot deliver because nobody is there counts as dropped.
    ///
    /// # Panics
    /// When it does not come to an end.
    #[track_caller]
    pub fn stop(self) -> SinkRun {
        must(self.try_stop())
    }

    pub(super) fn try_stop(self) -> Result<SinkRun, String> {
        self.to.do_send(Arrival::Finished(0));
        self.orders.do_send(Order::Drain);
        let what = "the sink ends after it was asked to stop";
        let outcome = self.state.wait(what, |state| state.ended.clone())?;
        self.finish(&outcome)
    }

    /// Waits until it fails.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn ended(self) -> SinkRun {
        let outcome = must(self.state.wait("the sink ends", |state| state.ended.clone()));
        must(self.finish(&outcome))
    }

    /// Drops it wherever it waits, as a forced shutdown does, and gives the fates of all batches.
    pub(super) fn try_force(self) -> Result<Vec<(u64, Fate)>, String> {
        self.orders.do_send(Order::Terminate);
        self.stage.end()?;
        Ok(self.state.lock().settled.clone())
    }

    fn finish(self, outcome: &Outcome) -> Result<SinkRun, String> {
        self.stage.end()?;
        // Batches in a mailbox are dropped with it, which settles them.
        let state = &mut *self.state.lock();
        Ok(SinkRun {
            fates: std::mem::take(&mut state.settled),
            rejected: std::mem::take(&mut state.rejected),
            failure: failure(outcome),
            context: self.context,
        })
    }
}

/// How a sink ended.
pub struct SinkRun {
    fates: Vec<(u64, Fate)>,
    rejected: Vec<DeadLetter>,
    failure: Option<String>,
    context: PluginContext,
}

impl SinkRun {
    /// The batches, from 0, and their fates, in the order they were settled. Every batch should be here exactly once.
    pub fn fates(&self) -> &[(u64, Fate)] {
        &self.fates
    }

    /// The frames it rejected, in order.
    pub fn rejected(&self) -> &[DeadLetter] {
        &self.rejected
    }

    /// The value of one of its counters or gauges; 0 when it has none of that name.
    pub fn count(&self, meter: &str) -> u64 {
        number(&self.context.meters, meter)
    }

    /// Why it failed; none when it ended well.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }
}
