//! Pipeline files: read, checked, and turned into plain data.
//!
//! Nothing here opens a socket or creates a file; everything that is wrong is told at once, with file, line and key.
//!
//! The way of a file: `load` is the whole way; `routes` deals out what is laid over which file; `tree` reads, lays over,
//! and replaces `${VAR}` (`variables`), noting where each value came from (`lines`, `report`); `actors` splits each actor's
//! table between the framework and its plugin and checks both against their schemas (`schema`, `words`); `flow` and `graph` read
//! and check the edges; `claims` finds two actors on one address (`listened`) or path; `advice` and
//! `descriptors` warn. What comes out is
//! `pipeline`, `host`, `framing` and `process`, where `collector` decides who gets the spans
//! (`url` keeps secrets out of what is shown); what must be known of plugins is `catalog`.

mod actors;
mod advice;
mod catalog;
mod claims;
mod collector;
mod descriptors;
mod flow;
mod framing;
mod graph;
mod host;
mod levels;
mod lines;
mod listened;
mod load;
mod messages;
mod mistake;
mod neighbours;
mod pipeline;
mod process;
mod report;
mod routes;
mod schema;
mod spelling;
#[cfg(test)]
mod tests;
mod text;
mod tree;
mod url;
mod variables;
mod words;

pub use catalog::{Catalog, PluginInfo};
pub(crate) use catalog::{SEVERAL_HOLD, be_alone};
pub use collector::{Collector, Refused};
pub use framing::FramingConfig;
pub use host::{
    HostConfig, OnPartial, Persist, ProcessorHost, RetryConfig, SinkHost, SourceHost, SpillConfig, WhenFull,
    host_schema,
};
pub use load::load;
pub use messages::MessagesConfig;
pub use mistake::Mistake;
pub use pipeline::{ActorConfig, EdgeConfig, PipelineConfig, Role};
pub use process::{
    AdminConfig, AlwaysConfig, LogConfig, LogFormat, ProcessConfig, Protocol, ShutdownConfig, TelemetryConfig,
    process_schemas,
};
pub use report::nearest;
pub use url::{Authorization, without_secrets};

use std::path::PathBuf;

/// [`ActorConfig::plugin`] of every spill store, which is no plugin.
pub const SPILL: &str = "spill";

/// What is laid over the files, in this order, each over the one before.
///
/// With several pipelines an overlay and a setting must say which one they mean: `PIPELINE:FILE`, `PIPELINE:key=value`.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Files of the same form that override single keys.
    pub overlays: Vec<String>,
    /// Environment variables. Those named `AQUEDUCT__SINKS__NETWORK__ADDRESS` set keys; all serve `${VAR}`.
    pub variables: Vec<(String, String)>,
    /// `key=value`; the value in TOML syntax, or else taken as text.
    pub settings: Vec<String>,
    /// The file of the process-wide tables. Unset: they stand in the file of the only pipeline.
    pub process: Option<PathBuf>,
    /// How many files and sockets the process may open: warned of when the pipelines may need more. Unset: not looked at.
    pub open_files: Option<u64>,
}

/// Everything that was loaded, free of mistakes.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// In the order of the files.
    pub pipelines: Vec<PipelineConfig>,
    /// The process-wide settings.
    pub process: ProcessConfig,
    /// What works, but probably not as meant.
    pub warnings: Vec<Mistake>,
}
