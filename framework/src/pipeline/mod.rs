//! From a checked config to running actors, and what can be seen and asked of them.

mod assemble;
mod finder;
mod plan;
mod status;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;

use crate::config::{EdgeConfig, PipelineConfig, Role};
use crate::error::{Error, Result};
use crate::flight::Journal;
use crate::mailbox::EdgeMeters;
use crate::plugin::Registry;
use crate::supervisor::{Ending, Supervisor, Wish};
use crate::telemetry::messages::MessageMatcher;
use crate::telemetry::{Meters, Spans};

pub use finder::{Counted, Finder, Spot, Trail};
pub use plan::{Plan, Stage};
pub use status::{ActorStatus, EdgeStatus, PipelineStatus, Pressure, Sample, pressure};

/// How a pipeline is run, besides what its file says.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Time from the wish to end to the moment when what is in flight is dropped.
    pub deadline: Duration,
    /// What spans are made with; the default makes none.
    pub spans: Spans,
    /// How ids are read out of frames, for [`Finder`]; none when nobody said where they stand.
    pub ids: Option<MessageMatcher>,
    /// Where reports about connections go besides the log; the default keeps none.
    pub journal: Journal,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            spans: Spans::default(),
            ids: None,
            journal: Journal::default(),
        }
    }
}

/// What can be seen of a running pipeline from any thread. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct View {
    /// The pipeline's name.
    pub name: Arc<str>,
    /// Every actor, in flow order.
    pub actors: Arc<Vec<(String, Role, String, Meters)>>,
    /// Every edge.
    pub edges: Arc<Vec<(EdgeConfig, EdgeMeters)>>,
}

/// A running pipeline.
pub struct Pipeline {
    view: View,
    finder: Finder,
    supervisor: Addr<Supervisor>,
    done: oneshot::Receiver<Ending>,
    arbiters: Vec<Arbiter>,
}

/// Asks a pipeline to end; can be cloned and kept after the pipeline was given away.
#[derive(Clone)]
pub struct Control(Addr<Supervisor>);

impl Control {
    /// Ends in order, within the deadline. Asking again changes nothing.
    pub fn shut_down(&self) {
        self.0.do_send(Wish::Shutdown);
    }

    /// Ends now: what is in hand counts as dropped; stores keep what they have committed.
    pub fn force(&self) {
        self.0.do_send(Wish::Force);
    }
}

impl Pipeline {
    /// Starts every actor, downstream ones first. Must be called inside an actix system; the actors run on Arbiters of their own.
    ///
    /// # Errors
    /// When a spill store cannot be opened, a framing cannot be built, or the config names a plugin the registry lacks.
    pub fn start(config: &PipelineConfig, registry: &Registry, options: &RunOptions) -> Result<Self> {
        let plan = Plan::new(config)?;
        let (done_to, done) = oneshot::channel();
        let roles = config
            .actors
            .iter()
            .map(|actor| (actor.name.clone(), actor.role))
            .collect();
        let supervisor = Supervisor::new(&config.name, roles, options.deadline, done_to).start();
        let assembled = assemble::assemble(config, &plan, registry, options, &supervisor)?;
        let meters: &BTreeMap<String, Meters> = &assembled.meters;
        let actors = config.actors.iter().map(|actor| {
            let meters = meters.get(&actor.name).cloned().unwrap_or_default();
            (actor.name.clone(), actor.role, actor.plugin.clone(), meters)
        });
        // Stages are in start order: downstream first.
        let mut asked = assembled.finds;
        asked.reverse();
        Ok(Self {
            finder: Finder {
                pipeline: config.name.as_str().into(),
                actors: Arc::new(asked),
                ids: options.ids.clone(),
            },
            view: View {
                name: config.name.as_str().into(),
                actors: Arc::new(actors.collect()),
                edges: Arc::new(assembled.edges),
            },
            supervisor,
            done,
            arbiters: assembled.arbiters,
        })
    }

    /// What can be seen of it.
    pub fn view(&self) -> View {
        self.view.clone()
    }

    /// What finds one message in it.
    pub fn finder(&self) -> Finder {
        self.finder.clone()
    }

    /// How it is asked to end.
    pub fn control(&self) -> Control {
        Control(self.supervisor.clone())
    }

    /// Waits until every actor has ended, by itself or as asked.
    ///
    /// # Errors
    /// When the supervisor itself is gone, which is a bug.
    pub async fn ended(self) -> Result<Ending> {
        let ending = self.done.await;
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
        ending.map_err(|_| Error::fatal("the supervisor ended without a word: a bug, please report it"))
    }
}
