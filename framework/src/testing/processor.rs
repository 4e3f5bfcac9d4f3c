//! Runs a processor on frames given as text.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Host, Run, lines, options};
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::plugin::{Context, Processor};
use crate::receipt::{Ledger, Settled};

/// A test of the plugin `P` with these options, in TOML.
pub fn processor<P: Processor>(options: &str) -> ProcessorKit<P> {
    ProcessorKit {
        options: options.to_owned(),
        frames_per_batch: usize::MAX,
        plugin: PhantomData,
    }
}

/// A processor about to be run on frames: by the code that runs it in a pipeline, without a socket.
#[derive(Debug, Clone)]
#[must_use = "it does nothing before `frames`"]
pub struct ProcessorKit<P> {
    options: String,
    frames_per_batch: usize,
    plugin: PhantomData<P>,
}

impl<P: Processor> ProcessorKit<P> {
    /// Frames in a batch, at least 1. Unless it is set all frames travel in one.
    pub fn frames_per_batch(mut self, frames: usize) -> Self {
        self.frames_per_batch = frames.max(1);
        self
    }

    /// Runs it on these frames, numbered from 0. Must not be called inside an async runtime: there it is [`ProcessorKit::run`].
    ///
    /// # Panics
    /// When the plugin refuses its options or stops with a fatal error.
    #[track_caller]
    pub fn frames<F: AsRef<[u8]>>(self, frames: impl IntoIterator<Item = F>) -> Run {
        match self.try_frames(frames) {
            Ok(run) => run,
            Err(error) => panic!("the processor `{}` failed: {error}", P::NAME),
        }
    }

    /// Like [`ProcessorKit::frames`], for what is meant to fail.
    ///
    /// # Errors
    /// What the plugin's `new` returns, or the fatal error that stopped it.
    pub fn try_frames<F: AsRef<[u8]>>(self, frames: impl IntoIterator<Item = F>) -> Result<Run> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime
            .map_err(|error| Error::fatal("cannot start a runtime for the test").because(error))?
            .block_on(self.run(frames))
    }

    /// Like [`ProcessorKit::try_frames`] in a runtime of the caller's: with a paused clock, for instance.
    ///
    /// # Errors
    /// What the plugin's `new` returns, or the fatal error that stopped it.
    pub async fn run<F: AsRef<[u8]>>(self, frames: impl IntoIterator<Item = F>) -> Result<Run> {
        let context = Context::new("test", P::NAME, "");
        let mut host = Host::new::<P>(&options(&self.options)?, &context)?;
        let fates = Arc::new(Mutex::new(Vec::new()));
        let mut run = Run::new(host.names());
        for batch in self.batches(frames, &fates) {
            let emitted = host.run(batch).await?;
            run.take_all(emitted);
            run.take_all(host.between().await?);
        }
        run.take_all(host.tick().await?);
        // What a plugin reports when it goes belongs to the run.
        drop(host);
        let fates = std::mem::take(&mut *fates.lock().unwrap_or_else(PoisonError::into_inner));
        run.finish(context.meters.snapshot(), &fates);
        Ok(run)
    }

    fn batches<F: AsRef<[u8]>>(
        &self,
        frames: impl IntoIterator<Item = F>,
        fates: &Arc<Mutex<Vec<Settled>>>,
    ) -> Vec<Batch> {
        let fates = fates.clone();
        let ledger =
            Ledger::counting(move |settled| fates.lock().unwrap_or_else(PoisonError::into_inner).push(settled));
        let frames: Vec<F> = frames.into_iter().collect();
        let mut first = 0;
        let batches = frames.chunks(self.frames_per_batch).enumerate().map(|(token, frames)| {
            let batch = lines(frames, first, ledger.issue(token as u64, 1));
            first += frames.len() as u64;
            batch
        });
        batches.collect()
    }
}
