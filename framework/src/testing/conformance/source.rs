//! The suite of sources.

use std::any::Any;

use super::{Checked, broken, declared, keeps, must_conform};
use crate::config::Role;
use crate::framing::Framing;
use crate::plugin::{Context, Registry, Source};
use crate::testing::{RunningSource, SourceKit};

type Peer = Box<dyn Fn(&RunningSource) -> Box<dyn Any>>;

/// The suite for the source `S`, with the options of its SAMPLE.
pub fn source<S: Source>() -> SourceSuite<S> {
    SourceSuite {
        options: None,
        kit: crate::testing::source::<S>(""),
        peer: Box::new(|_| Box::new(())),
    }
}

/// A source about to be held to its contract.
#[must_use = "it does nothing before `check`"]
pub struct SourceSuite<S> {
    options: Option<String>,
    kit: SourceKit<S>,
    peer: Peer,
}

impl<S: Source> SourceSuite<S> {
    /// Other options than those of its SAMPLE, in TOML: a port of 0, for instance.
    pub fn options(mut self, options: &str) -> Self {
        self.options = Some(options.to_owned());
        self
    }

    /// How its bytes are cut, as for [`SourceKit::framing`].
    pub fn framing(mut self, table: &str) -> Self {
        self.kit = self.kit.framing(table);
        self
    }

    /// As for [`SourceKit::custom_framing`].
    pub fn custom_framing<F: Framing>(mut self, options: &str) -> Self {
        self.kit = self.kit.custom_framing::<F>(options);
        self
    }

    /// Brings each run of the source some frames, at least two, without waiting for the source to read them: connects and writes. What
    /// it returns, such as the connection, lives as long as that run.
    pub fn peer<G: 'static>(mut self, peer: impl Fn(&RunningSource) -> G + 'static) -> Self {
        self.peer = Box::new(move |running| Box::new(peer(running)));
        self
    }

    /// Runs the suite.
    ///
    /// # Panics
    /// With the first line of the contract that is broken.
    #[track_caller]
    pub fn check(self) {
        must_conform("source", S::NAME, self.run());
    }

    fn run(self) -> Checked {
        let mut registry = Registry::default();
        registry.source::<S>();
        let abouts = registry.all(Role::Source);
        let about = abouts.first().ok_or("it has no name")?;
        let chosen = declared::choose(self.options.as_deref(), about)?;
        declared::check(about, &chosen, &|settings| {
            let plan = registry.source_blueprint(S::NAME, settings);
            plan.map_or(Ok(()), |plan| plan.build(&Context::new("test", S::NAME, "")).map(drop))
        })?;
        let suite = Self {
            kit: self.kit.options(&chosen),
            ..self
        };
        suite.reads_under_demand()?;
        suite.ends_when_asked()?;
        suite.survives_force()
    }

    fn start(&self) -> Checked<(RunningSource, Box<dyn Any>)> {
        let running = self.kit.clone().try_start();
        let running = running.map_err(|error| broken("`new` takes the options of the suite", error))?;
        let peer = (self.peer)(&running);
        Ok((running, peer))
    }

    fn reads_under_demand(&self) -> Checked {
        let line = "it waits for `ready` before every read, and sends nothing without demand";
        let (running, _peer) = self.start()?;
        let early = running.try_wait_starved().map_err(|error| broken(line, error))?;
        keeps(line, early.is_empty(), || {
            format!("{} frames came without any", early.len())
        })?;
        running.grant(1);
        running.try_wait_starved().map_err(|error| broken(line, error))?;
        stops(
            running,
            "it ends when `stopping` resolves, also while it waits for demand",
        )
    }

    fn ends_when_asked(&self) -> Checked {
        let (running, _peer) = self.start()?;
        running.grant_all();
        let came = running.try_wait_frames(1);
        came.map_err(|error| broken("it sends what it reads, at the latest when it waits for more", error))?;
        stops(running, "it ends when `stopping` resolves")
    }

    /// The shutdown deadline: `run` is dropped wherever it waits.
    fn survives_force(&self) -> Checked {
        let line = "`run` may be dropped wherever it waits";
        for demand in [0, 1, usize::MAX] {
            let (running, _peer) = self.start()?;
            running.grant(demand);
            running.try_force().map_err(|error| broken(line, error))?;
        }
        Ok(())
    }
}

/// Ends it in an orderly way.
fn stops(running: RunningSource, line: &str) -> Checked {
    let unasked = running.batches_without_demand();
    let run = running.try_stop().map_err(|error| broken(line, error))?;
    let failure = run.failure().map(str::to_owned);
    keeps(line, failure.is_none(), || format!("it failed: {failure:?}"))?;
    let (panics, numbers) = (run.count("panics"), run.numbers());
    keeps("it does not panic", panics == 0, || {
        format!("it panicked {panics} times")
    })?;
    keeps("it sends nothing without demand", unasked == 0, || {
        format!("{unasked} batches came")
    })?;
    let in_order = numbers.windows(2).all(|pair| pair[0] < pair[1]);
    keeps("frames leave in the order they are given to the feed", in_order, || {
        format!("{numbers:?}")
    })
}
