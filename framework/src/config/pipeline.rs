//! What a checked pipeline file says, as plain data.

use std::fmt;
use std::path::PathBuf;

use serde_json::Value;

use super::framing::FramingConfig;
use super::host::HostConfig;

/// One pipeline: its actors and the edges between them. Everything in it has been checked.
#[derive(Debug, Clone, PartialEq)]
pub struct PipelineConfig {
    /// Unique in the process; `[a-z][a-z0-9_-]*`. The file's name without its extension when the file gives none.
    pub name: String,
    /// The file as it was named by the caller.
    pub file: PathBuf,
    /// The absolute folder of that file. Relative paths in the file have been resolved against it.
    pub folder: PathBuf,
    /// In the order in which the flow first names them.
    pub actors: Vec<ActorConfig>,
    /// In the order of the flow, which is the order in which copies are sent.
    pub edges: Vec<EdgeConfig>,
}

impl PipelineConfig {
    /// The actor of that name.
    pub fn actor(&self, name: &str) -> Option<&ActorConfig> {
        self.actors.iter().find(|actor| actor.name == name)
    }
}

/// The table an actor stands in, which is what it does in the flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// `[sources.NAME]`: brings frames in.
    Source,
    /// `[spills.NAME]`: keeps them, in order, until they can be taken.
    Spill,
    /// `[processors.NAME]`: works on them.
    Processor,
    /// `[sinks.NAME]`: delivers them.
    Sink,
}

impl Role {
    /// All roles, in the order a frame meets them.
    pub const ALL: [Self; 4] = [Self::Source, Self::Spill, Self::Processor, Self::Sink];

    /// The name of its table in a pipeline file.
    pub const fn table(self) -> &'static str {
        match self {
            Self::Source => "sources",
            Self::Spill => "spills",
            Self::Processor => "processors",
            Self::Sink => "sinks",
        }
    }
}

/// Writes it as it reads in a sentence.
impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Spill => "spill store",
            Self::Processor => "processor",
            Self::Sink => "sink",
        })
    }
}

/// One actor.
#[derive(Debug, Clone, PartialEq)]
pub struct ActorConfig {
    /// Unique in the pipeline; `[a-z][a-z0-9_]*`.
    pub name: String,
    /// The table it stands in.
    pub role: Role,
    /// Its `type`; [`SPILL`](super::SPILL) for a spill store.
    pub plugin: String,
    /// The plugin's own keys. Those named by [`PluginInfo::paths`](super::PluginInfo::paths) are absolute paths.
    pub settings: Value,
    /// The keys the framework takes for this role.
    pub host: HostConfig,
    /// How bytes become frames. Set for every source, and for every sink: its own, or that of all sources that reach it.
    pub framing: Option<FramingConfig>,
}

/// The way from one actor to another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EdgeConfig {
    /// The sending actor.
    pub from: String,
    /// Which of its outputs; empty for the main one.
    pub output: String,
    /// The receiving actor.
    pub to: String,
}

/// Writes it as the flow does: `process.rejected -> dead_letters`.
impl fmt::Display for EdgeConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot = if self.output.is_empty() { "" } else { "." };
        write!(f, "{}{dot}{} -> {}", self.from, self.output, self.to)
    }
}
