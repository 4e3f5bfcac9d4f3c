//! The pipeline's own thread, with its actix system, and its log.

use std::fs::File;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{self, Sender};
use std::thread::{Scope, ScopedJoinHandle};

use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::prelude::*;

use super::Tracing;
use crate::framework::config::Loaded;
use crate::framework::pipeline::{Control, Pipeline, RunOptions, View};
use crate::framework::plugin::Registry;
use crate::framework::supervisor::Ending;
use crate::framework::telemetry::TARGET;

/// A pipeline that runs on a thread of `'scope`.
pub(super) struct Running<'scope> {
    pub(super) view: View,
    pub(super) control: Control,
    thread: ScopedJoinHandle<'scope, Result<Ending, String>>,
}

impl<'scope> Running<'scope> {
    /// Starts the only pipeline of `loaded`.
    ///
    /// # Errors
    /// Why it cannot be started; the thread has ended then.
    pub(super) fn start<'env>(
        scope: &'scope Scope<'scope, 'env>,
        loaded: &'env Loaded,
        registry: &'env Registry,
        tracing: Option<&Tracing>,
    ) -> Result<Self, String> {
        let (started, handles) = mpsc::channel();
        let options = RunOptions {
            deadline: loaded.process.shutdown.deadline.duration(),
            spans: tracing.map(Tracing::spans).unwrap_or_default(),
            ..RunOptions::default()
        };
        let thread = scope.spawn(move || actix_rt::System::new().block_on(run(loaded, registry, &options, &started)));
        match handles.recv() {
            Ok((view, control)) => Ok(Self { view, control, thread }),
            Err(_) => Err(joined(thread)
                .err()
                .unwrap_or_else(|| "the pipeline ended at once".to_owned())),
        }
    }

    /// True when it has ended, by itself or as asked.
    pub(super) fn is_over(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When an actor failed, or something had to be forced.
    pub(super) fn finish(self) -> Result<(), String> {
        let ending = joined(self.thread)?;
        match ending.failure {
            Some((actor, reason)) => Err(format!("`{actor}` failed: {reason}")),
            None if ending.forced => Err("the pipeline did not end in time; its log says who was late".to_owned()),
            None => Ok(()),
        }
    }
}

fn joined(thread: ScopedJoinHandle<'_, Result<Ending, String>>) -> Result<Ending, String> {
    thread
        .join()
        .unwrap_or_else(|_| Err("the pipeline's thread panicked, which is a bug".to_owned()))
}

async fn run(
    loaded: &Loaded,
    registry: &Registry,
    options: &RunOptions,
    started: &Sender<(View, Control)>,
) -> Result<Ending, String> {
    let config = loaded.pipelines.first().ok_or("the config holds no pipeline")?;
    let pipeline = Pipeline::start(config, registry, options).map_err(|error| error.to_string())?;
    // The receiver waits for this, and goes on to hold what it is sent.
    let _ = started.send((pipeline.view(), pipeline.control()));
    pipeline.ended().await.map_err(|error| error.to_string())
}

/// Sends the log of the whole process to a file, and pipeline spans to whoever traces.
pub(super) fn log_to(file: &Path, tracing: Option<&Tracing>) -> Result<(), String> {
    let opened = File::create(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let log = tracing_subscriber::fmt::layer()
        .with_writer(Mutex::new(opened))
        .with_ansi(false)
        .with_target(false)
        .with_filter(LevelFilter::INFO)
        .with_filter(filter_fn(|meta| meta.target() != TARGET));
    let started = tracing_subscriber::registry()
        .with(log)
        .with(tracing.map(Tracing::layer))
        .try_init();
    started.map_err(|error| format!("the log cannot be started: {error}"))
}
