//! What a plugin knows about where it runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::FramingSpec;
use crate::error::{Error, Result};
use crate::flight::{Below, Blame, Journal};
use crate::framing::DynFraming;
use crate::telemetry::{Counter, Gauge, Meters};

/// Given to a plugin when it is built: its name, its folder, its meters.
#[derive(Debug, Clone)]
pub struct Context {
    /// The pipeline's name.
    pub pipeline: Arc<str>,
    /// The actor's name in the config.
    pub actor: Arc<str>,
    /// What the actor counts. The framework counts frames and bytes itself.
    pub meters: Meters,
    folder: PathBuf,
    below: Below,
    journal: Journal,
    framing: Option<FramingSpec>,
}

impl Context {
    /// The context of one actor; `folder` is the config file's.
    pub fn new(pipeline: &str, actor: &str, folder: impl Into<PathBuf>) -> Self {
        Self {
            pipeline: pipeline.into(),
            actor: actor.into(),
            meters: Meters::default(),
            folder: folder.into(),
            below: Below::default(),
            journal: Journal::default(),
            framing: None,
        }
    }

    /// The same, with what stands below the actor, and where its reports about connections go.
    #[must_use]
    pub fn with_flight(mut self, below: Below, journal: Journal) -> Self {
        (self.below, self.journal) = (below, journal);
        self
    }

    /// The same, with the framing that a sink writes.
    #[must_use]
    pub fn with_framing(mut self, framing: FramingSpec) -> Self {
        self.framing = Some(framing);
        self
    }

    /// The framing of a sink, at the start of a stream: for those that encode what they read from a store, with
    /// [`Delivery::encoded`](super::Delivery::encoded). Others are given encoded deliveries.
    ///
    /// # Errors
    /// When the actor is no sink that runs, or the framing refuses its options.
    pub fn framing(&self) -> Result<Box<dyn DynFraming>> {
        let framing = self.framing.as_ref();
        framing
            .ok_or_else(|| Error::fatal("only a sink that runs has a framing to write"))?
            .build()
    }

    /// Who downstream takes nothing now; none while nobody waits for demand.
    pub fn blame(&self) -> Option<Blame> {
        self.below.blame(&self.actor)
    }

    /// Where reports about the actor's connections go.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// A path from the config: relative ones are relative to the config file.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.folder.join(path)
    }

    /// A counter of the plugin's own, shown by `status` and exported as a metric.
    pub fn counter(&self, name: &str) -> Counter {
        self.meters.counter(name)
    }

    /// A gauge of the plugin's own.
    pub fn gauge(&self, name: &str) -> Gauge {
        self.meters.gauge(name)
    }

    /// Says in words what the plugin is doing, shown by `status`: `state` = `listening on 127.0.0.1:9000`. What a sink says under `peer` in
    /// its `open`, such as `127.0.0.1:9000`, is the `server.address` and `server.port` of its spans.
    pub fn say(&self, name: &str, text: impl Into<String>) {
        self.meters.say(name, text);
    }
}
