//! One processor plugin, hosted as its actor hosts it.

use serde_json::Value;

use crate::actors::processor::runner::Runner;
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::plugin::{Context, Emitted, Output, Processor, Registry};
use crate::telemetry::Tracer;

/// A processor plugin with what stands around it in a pipeline: rollback, retries, dead letters, panics. For tests and benchmarks
/// that bring batches of their own; [`super::processor`] is easier.
pub struct Host {
    runner: Runner,
    names: Vec<&'static str>,
}

impl Host {
    /// Builds the plugin `P` with these options.
    ///
    /// # Errors
    /// When the options do not fit it, or its `new` refuses them.
    pub fn new<P: Processor>(options: &Value, context: &Context) -> Result<Self> {
        let mut registry = Registry::default();
        let plan = registry.processor::<P>().processor_blueprint(P::NAME, options);
        let plan = plan.ok_or_else(|| Error::fatal("the plugin has no name"))?;
        Ok(Self {
            runner: Runner::new(&plan, context, &Tracer::off(), usize::MAX)?,
            names: Output::new(P::OUTPUTS).names().to_vec(),
        })
    }

    /// Output names: main (empty), declared ones, `rejected`.
    pub fn names(&self) -> &[&'static str] {
        &self.names
    }

    /// Runs one batch to its end, in a tokio runtime with a clock. Each batch that comes out carries a part of the input's receipt. Dropping the
    /// future drops the batch.
    ///
    /// # Errors
    /// When the plugin cannot go on: the batch counts as dropped.
    pub async fn run(&mut self, batch: Batch) -> Result<Emitted> {
        self.runner.run(batch).await
    }

    /// The same, and hands over what comes out whenever the actor would send it on: once for every [`Processor::portion`].
    ///
    /// # Errors
    /// When the plugin cannot go on: the rest of the batch counts as dropped.
    pub async fn run_portions(&mut self, batch: Batch, mut came: impl FnMut(Emitted)) -> Result<()> {
        let mut hand = self.runner.begin(batch)?;
        while !hand.is_done() {
            came(self.runner.portion(&mut hand).await?.emitted);
        }
        Ok(())
    }

    /// Calls the plugin's `tick` if it is due, as the actor does between batches. Give it time with tokio's clock.
    ///
    /// # Errors
    /// When the plugin cannot go on.
    pub async fn between(&mut self) -> Result<Emitted> {
        self.runner.between().await
    }

    /// Calls the plugin's `tick`, as the actor does at the end.
    ///
    /// # Errors
    /// When the plugin cannot go on.
    pub async fn tick(&mut self) -> Result<Emitted> {
        self.runner.tick().await
    }

    /// Batches of which the plugin holds frames back.
    pub fn holding(&self) -> usize {
        self.runner.back().batches
    }
}
