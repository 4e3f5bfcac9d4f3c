//! What a plugin knows about where it runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

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
}

impl Context {
    /// The context of one actor; `folder` is the config file's.
    pub fn new(pipeline: &str, actor: &str, folder: impl Into<PathBuf>) -> Self {
        Self {
            pipeline: pipeline.into(),
            actor: actor.into(),
            meters: Meters::default(),
            folder: folder.into(),
        }
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
