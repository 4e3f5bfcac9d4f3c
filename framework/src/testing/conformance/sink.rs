//! The suite of sinks.

use std::any::Any;
use std::future::Future;
use std::rc::Rc;

use serde_json::Value;

use super::processor::awkward;
use super::{Checked, broken, contained, declared, keeps, must_conform};
use crate::config::Role;
use crate::framing::Framing;
use crate::plugin::{Context, DynSink, Registry, Sink};
use crate::receipt::Fate;
use crate::testing::watched::PATIENCE;
use crate::testing::{RunningSink, SinkKit, options};

type Peer = Box<dyn Fn(&RunningSink) -> Box<dyn Any>>;
type Arrived = Rc<dyn Fn(Box<dyn Any>) -> Option<Vec<u8>>>;

/// Batches of each run.
const BATCHES: usize = 3;

/// The suite for the sink `S`, with the options of its SAMPLE.
pub fn sink<S: Sink>() -> SinkSuite<S> {
    SinkSuite {
        options: None,
        frames: awkward(),
        kit: crate::testing::sink::<S>(""),
        peer: Box::new(|_| Box::new(())),
        arrived: Rc::new(|_| None),
    }
}

/// A sink about to be held to its contract.
#[must_use = "it does nothing before `check`"]
pub struct SinkSuite<S> {
    options: Option<String>,
    frames: Vec<Vec<u8>>,
    kit: SinkKit<S>,
    peer: Peer,
    arrived: Arrived,
}

impl<S: Sink> SinkSuite<S> {
    /// Other options than those of its SAMPLE, in TOML: a port of 0, a path in a folder of the test's.
    pub fn options(mut self, options: &str) -> Self {
        self.options = Some(options.to_owned());
        self
    }

    /// Frames for it to write, instead of a dozen that nobody expects.
    pub fn frames<F: AsRef<[u8]>>(mut self, frames: impl IntoIterator<Item = F>) -> Self {
        self.frames = frames.into_iter().map(|frame| frame.as_ref().to_vec()).collect();
        self
    }

    /// How frames are written, as for [`SinkKit::framing`].
    pub fn framing(mut self, table: &str) -> Self {
        self.kit = self.kit.framing(table);
        self
    }

    /// As for [`SinkKit::custom_framing`].
    pub fn custom_framing<F: Framing>(mut self, options: &str) -> Self {
        self.kit = self.kit.custom_framing::<F>(options);
        self
    }

    /// Where relative paths of its options lead.
    pub fn folder(mut self, folder: impl Into<std::path::PathBuf>) -> Self {
        self.kit = self.kit.folder(folder);
        self
    }

    /// Takes what a run of the sink writes, on a thread of its own if that waits: `peer` is called when the sink has started, and connects;
    /// `arrived` is called with what `peer` returned when the sink has ended well, and gives the bytes that came, which are compared.
    pub fn peer<G: 'static>(
        mut self,
        peer: impl Fn(&RunningSink) -> G + 'static,
        arrived: impl Fn(G) -> Vec<u8> + 'static,
    ) -> Self {
        self.peer = Box::new(move |running| Box::new(peer(running)));
        self.arrived = Rc::new(move |peer| peer.downcast().ok().map(|peer| arrived(*peer)));
        self
    }

    /// Runs the suite.
    ///
    /// # Panics
    /// With the first line of the contract that is broken.
    #[track_caller]
    pub fn check(self) {
        must_conform("sink", S::NAME, self.run());
    }

    fn run(self) -> Checked {
        let mut registry = Registry::default();
        registry.sink::<S>();
        let abouts = registry.all(Role::Sink);
        let about = abouts.first().ok_or("it has no name")?;
        let chosen = declared::choose(self.options.as_deref(), about)?;
        let build = |settings: &Value| {
            let plan = registry.sink_blueprint(S::NAME, settings);
            plan.ok_or_else(|| crate::error::Error::fatal("it has no name"))?
                .build(&Context::new("test", S::NAME, self.kit.base()))
        };
        declared::check(about, &chosen, &|settings| build(settings).map(drop))?;
        let settings = options(&chosen).map_err(|error| error.to_string())?;
        closes_unused(build(&settings).map_err(|error| error.to_string())?)?;
        let suite = Self {
            kit: self.kit.options(&chosen),
            ..self
        };
        suite.delivers_and_settles()?;
        suite.ends_without_a_peer()?;
        suite.survives_force()
    }

    fn start(&self) -> Checked<RunningSink> {
        let running = self.kit.clone().try_start();
        running.map_err(|error| broken("`new` takes the options of the suite", error))
    }

    fn delivers_and_settles(&self) -> Checked {
        let line = "`write` returns when all of the delivery is written, which settles the batch";
        let running = self.start()?;
        let peer = (self.peer)(&running);
        for batch in 0..BATCHES {
            running.send(&self.frames);
            // One after the other, so that `watch` is begun and dropped in between.
            running
                .try_wait_settled(batch + 1)
                .map_err(|error| broken(line, error))?;
        }
        let expected = self.kit.wire(&self.frames)?.repeat(BATCHES);
        let run = running
            .try_stop()
            .map_err(|error| broken("it ends when it is asked to", error))?;
        let failure = run.failure().map(str::to_owned);
        keeps(line, failure.is_none(), || format!("it failed: {failure:?}"))?;
        let fates: Vec<_> = run.fates().iter().map(|(batch, _)| *batch).collect();
        keeps(
            "every batch is settled exactly once, in order",
            fates.iter().copied().eq(0..BATCHES as u64),
            || format!("these were: {fates:?}"),
        )?;
        let dropped = run.fates().iter().any(|(_, fate)| *fate == Fate::Dropped);
        keeps(line, !dropped, || "it dropped a batch".to_owned())?;
        let rejected = run.rejected().len();
        match (self.arrived)(peer) {
            Some(arrived) if rejected == 0 => same_bytes(&expected, &arrived),
            _ => Ok(()),
        }
    }

    fn ends_without_a_peer(&self) -> Checked {
        let line = "it can be ended while `open` waits or fails";
        let run = self.start()?.try_stop().map_err(|error| broken(line, error))?;
        let failure = run.failure().map(str::to_owned);
        keeps(line, failure.is_none(), || format!("it failed: {failure:?}"))
    }

    /// The shutdown deadline: `open`, `write` and `watch` are dropped wherever they wait.
    fn survives_force(&self) -> Checked {
        let line = "it may be dropped wherever it waits, and every batch is still settled exactly once";
        for with_peer in [false, true] {
            let running = self.start()?;
            let peer = with_peer.then(|| (self.peer)(&running));
            running.send(&self.frames);
            let fates = running.try_force().map_err(|error| broken(line, error))?;
            drop(peer);
            keeps(line, fates.len() == 1, || format!("these were: {fates:?}"))?;
        }
        Ok(())
    }
}

/// Without an actor: what a shutdown may do to a sink that was never open.
fn closes_unused(mut sink: Box<dyn DynSink>) -> Checked {
    let line = "`close` may be called without `open`, and twice, and comes to an end";
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    contained(line, || {
        runtime.block_on(async {
            for _ in 0..2 {
                // Whether it fails is its own affair: there is nothing left to lose.
                let closed = tokio::time::timeout(PATIENCE, sink.close()).await;
                closed.map_err(|_| broken(line, "it does not return")).map(drop)?;
            }
            let mut open = sink.open();
            let waker = futures_util::task::noop_waker();
            let _ = Future::poll(open.as_mut(), &mut std::task::Context::from_waker(&waker));
            Checked::Ok(())
        })
    })??;
    contained(
        "an instance may be dropped at any time, and does not panic then",
        || {
            let _entered = runtime.enter();
            drop(sink);
        },
    )
}

fn same_bytes(expected: &[u8], arrived: &[u8]) -> Checked {
    let line = "what counts as delivered has been written, whole and in order";
    keeps(line, expected == arrived, || {
        let same = expected
            .iter()
            .zip(arrived)
            .take_while(|(one, other)| one == other)
            .count();
        format!(
            "of {} bytes {} arrived, and they differ from byte {same} on",
            expected.len(),
            arrived.len()
        )
    })
}
