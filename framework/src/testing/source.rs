//! Runs a source by the actor that runs it in a pipeline, with the test as everything downstream.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use actix::prelude::*;

use super::frames::{FramingChoice, Seen};
use super::options;
use super::watched::{Stage, Watched, address, failure, must, number, said};
use crate::actors::reader::{Reader, ReaderParts};
use crate::actors::{Ended, Order, Outcome};
use crate::demand::Grant;
use crate::error::{Error, Result};
use crate::framing::Framing;
use crate::mailbox::{Arrival, Edge, EdgeMeters, Granted};
use crate::plugin::{Context as PluginContext, Registry, Source};
use crate::receipt::Fate;
use crate::spill::Streams;
use crate::telemetry::{Tracer, now_ns};

/// Bytes of unfinished frames that a source may hold in a test, as many as it may by default in a pipeline.
const PARTIAL_BYTES: usize = 64 * 1024 * 1024;

/// A test of the source `S` with these options, in TOML.
pub fn source<S: Source>(options: &str) -> SourceKit<S> {
    SourceKit {
        options: options.to_owned(),
        framing: FramingChoice::lines(),
        folder: PathBuf::new(),
        plugin: PhantomData,
    }
}

/// A source about to be run.
#[must_use = "it does nothing before `start` or `run`"]
pub struct SourceKit<S> {
    options: String,
    framing: FramingChoice,
    folder: PathBuf,
    plugin: PhantomData<S>,
}

impl<S> Clone for SourceKit<S> {
    fn clone(&self) -> Self {
        Self {
            options: self.options.clone(),
            framing: self.framing.clone(),
            folder: self.folder.clone(),
            plugin: PhantomData,
        }
    }
}

impl<S: Source> SourceKit<S> {
    /// Other options.
    pub(super) fn options(mut self, options: &str) -> Self {
        self.options = options.to_owned();
        self
    }

    /// How its bytes are cut, by a table as in a pipeline's file: `type = "length_delimited"`. Unless it is set, lines.
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

    /// Starts it on a thread of its own. It may not read before it is granted demand.
    ///
    /// # Panics
    /// When the options or the framing do not fit.
    #[track_caller]
    pub fn start(self) -> RunningSource {
        must(self.try_start())
    }

    /// Like [`SourceKit::start`], for what is meant to fail.
    ///
    /// # Errors
    /// When the options or the framing do not fit.
    pub fn try_start(self) -> Result<RunningSource> {
        let context = PluginContext::new("test", S::NAME, &self.folder);
        let mut registry = Registry::default();
        let plan = (registry.source::<S>()).source_blueprint(S::NAME, &options(&self.options)?);
        let plan = plan.ok_or_else(|| Error::fatal("the plugin has no name"))?;
        crate::actors::build(&plan, &context)?;
        let (framing, meters) = (self.framing.spec()?, EdgeMeters::default());
        let state = Arc::<Watched<State>>::default();
        let (on_stage, edge_meters, reader_context) = (state.clone(), meters.clone(), context.clone());
        let (stage, orders) = Stage::start(move || {
            let below = Below(on_stage).start();
            let parts = ReaderParts {
                epoch: now_ns(),
                on_partial: crate::config::OnPartial::default(),
                context: reader_context,
                source: plan,
                framing,
                partial_limit: PARTIAL_BYTES,
                streams: Streams::default(),
                edges: vec![Edge {
                    id: 0,
                    to: below.clone().recipient(),
                    meters: edge_meters,
                }],
                tracer: Tracer::off(),
                supervisor: below.recipient(),
            };
            Reader::new(parts).start().recipient()
        })?;
        Ok(RunningSource {
            state,
            stage,
            orders,
            context,
            edge: meters,
        })
    }

    /// Runs it with all the demand it wants until it ends by itself.
    ///
    /// # Panics
    /// As [`SourceKit::start`] and [`RunningSource::ended`].
    #[track_caller]
    pub fn run(self) -> SourceRun {
        let running = self.start();
        running.grant_all();
        running.ended()
    }
}

#[derive(Default)]
struct State {
    frames: Vec<Seen>,
    grants_to: Option<Recipient<Granted>>,
    granted: u64,
    received: u64,
    /// Batches that came although all demand was used up.
    unasked: usize,
    ended: Option<Outcome>,
}

impl State {
    fn tell(&self) {
        if let Some(to) = &self.grants_to {
            to.do_send(Granted(
                0,
                Grant {
                    epoch: 1,
                    total: self.granted,
                },
            ));
        }
    }
}

/// Everything downstream of the source, and its supervisor.
struct Below(Arc<Watched<State>>);

impl Actor for Below {
    type Context = Context<Self>;
}

impl Handler<Arrival> for Below {
    type Result = ();

    fn handle(&mut self, arrival: Arrival, _: &mut Self::Context) {
        self.0.change(|state| match arrival {
            Arrival::Joined(_, grants_to) => {
                state.grants_to = Some(grants_to);
                state.tell();
            }
            Arrival::Batch(_, batch) => {
                state.unasked += usize::from(state.received >= state.granted);
                state.received = state.received.saturating_add(batch.cost() as u64);
                state.frames.extend(Seen::all(&batch));
                batch.receipt.settle(Fate::Delivered);
            }
            Arrival::Finished(_) => {}
        });
    }
}

impl Handler<Ended> for Below {
    type Result = ();

    fn handle(&mut self, ended: Ended, _: &mut Self::Context) {
        self.0.change(|state| state.ended = Some(ended.outcome));
    }
}

/// A source that runs. Dropping it ends it, as a forced shutdown does.
pub struct RunningSource {
    state: Arc<Watched<State>>,
    stage: Stage,
    orders: Recipient<Order>,
    context: PluginContext,
    edge: EdgeMeters,
}

impl RunningSource {
    /// Lets it send `bytes` more. A batch costs what it pins, 4,096 bytes at least; the last one may go past the limit.
    pub fn grant(&self, bytes: usize) {
        self.state.change(|state| {
            state.granted = state.granted.saturating_add(bytes as u64);
            state.tell();
        });
    }

    /// Lets it send as much as it likes.
    pub fn grant_all(&self) {
        self.grant(usize::MAX);
    }

    /// Waits until this many frames have come since the start, and gives all that came, as text.
    ///
    /// # Panics
    /// When they do not come, or the source ends before.
    #[track_caller]
    pub fn wait_frames(&self, frames: usize) -> Vec<String> {
        must(self.try_wait_frames(frames))
    }

    pub(super) fn try_wait_frames(&self, frames: usize) -> Result<Vec<String>, String> {
        let came = self.state.wait(&format!("{frames} frames have come"), |state| {
            let (came, ended) = (state.frames.len(), &state.ended);
            let over = || {
                Err(format!(
                    "the source ended ({ended:?}) after {came} frames, not {frames}"
                ))
            };
            match () {
                () if came >= frames => Some(Ok(texts(&state.frames))),
                () => ended.is_some().then(over),
            }
        });
        came.map_err(|error| format!("{error}; {} came", self.frames().len()))?
    }

    /// Waits until it has used up its demand and waits for more, and gives all that came, as text.
    ///
    /// # Panics
    /// When it sends without demand, or never waits for it.
    #[track_caller]
    pub fn wait_starved(&self) -> Vec<String> {
        must(self.try_wait_starved())
    }

    /// Like [`RunningSource::wait_starved`]; a source that ends by itself waits for nothing any more.
    pub(super) fn try_wait_starved(&self) -> Result<Vec<String>, String> {
        let what = "the source waits for demand, as it must before it reads";
        self.state.wait(what, |state| {
            if state.unasked > 0 {
                return Some(Err("the source sent a batch without demand".to_owned()));
            }
            let waits = state.received >= state.granted && self.edge.waiting_since_ns.get() != 0;
            (waits || state.ended.is_some()).then(|| Ok(texts(&state.frames)))
        })?
    }

    /// Batches that came although all demand was used up. It should be 0.
    pub fn batches_without_demand(&self) -> usize {
        self.state.lock().unasked
    }

    /// The frames that came so far, as text.
    pub fn frames(&self) -> Vec<String> {
        texts(&self.state.lock().frames)
    }

    /// Waits until it says something under this name, with [`Context::say`](crate::plugin::Context::say).
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn text(&self, name: &str) -> String {
        let what = format!("the source says something as {name:?}");
        must(self.state.wait(&what, |_| said(&self.context.meters, name)))
    }

    /// Waits until it says where it is `listening`.
    ///
    /// # Panics
    /// When it does not, or what it says is no address.
    #[track_caller]
    pub fn address(&self) -> SocketAddr {
        must(address(&self.text("listening")))
    }

    /// The value of one of its counters or gauges; 0 when it has none of that name.
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
        must(self.state.wait(&what, |_| (self.count(meter) >= least).then_some(())));
    }

    /// Asks it to end, as a shutdown does, and waits until it has.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn stop(self) -> SourceRun {
        must(self.try_stop())
    }

    pub(super) fn try_stop(self) -> Result<SourceRun, String> {
        self.orders.do_send(Order::Drain);
        self.finish("the source ends after it was asked to stop")
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn ended(self) -> SourceRun {
        must(self.finish("the source ends by itself"))
    }

    /// Drops it wherever it waits, as a forced shutdown does.
    pub(super) fn try_force(self) -> Result<(), String> {
        self.orders.do_send(Order::Terminate);
        self.stage.end()
    }

    fn finish(self, what: &str) -> Result<SourceRun, String> {
        let outcome = self.state.wait(what, |state| state.ended.clone())?;
        self.stage.end()?;
        Ok(SourceRun {
            frames: std::mem::take(&mut self.state.lock().frames),
            failure: failure(&outcome),
            context: self.context,
        })
    }
}

fn texts(frames: &[Seen]) -> Vec<String> {
    frames.iter().map(Seen::text).collect()
}

/// What a source sent until it ended.
pub struct SourceRun {
    frames: Vec<Seen>,
    failure: Option<String>,
    context: PluginContext,
}

impl SourceRun {
    /// The frames, in order, as text; bytes that are no UTF-8 become U+FFFD.
    pub fn frames(&self) -> Vec<String> {
        texts(&self.frames)
    }

    /// The frames, in order.
    pub fn frames_bytes(&self) -> Vec<&[u8]> {
        self.frames.iter().map(|frame| frame.bytes.as_slice()).collect()
    }

    /// The numbers of the frames, in order.
    pub fn numbers(&self) -> Vec<u64> {
        self.frames.iter().map(|frame| frame.number).collect()
    }

    /// The actors that the frames say they were read by, in order: `test`, unless they were forwarded.
    pub fn sources(&self) -> Vec<&str> {
        self.frames.iter().map(|frame| frame.source.as_str()).collect()
    }

    /// The attributes of the frame at `index`, from 0; those of its stream among them.
    ///
    /// # Panics
    /// When fewer frames came.
    #[track_caller]
    pub fn attributes(&self, index: usize) -> &BTreeMap<String, String> {
        match self.frames.get(index) {
            Some(frame) => &frame.attributes,
            None => panic!("only {} frames came", self.frames.len()),
        }
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
