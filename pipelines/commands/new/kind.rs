//! The kinds of plugins, and the text that each begins with.

use std::fmt;

use clap::ValueEnum;

use crate::framework::config::{Catalog, Role};
use crate::framework::framing;
use crate::framework::plugin::Registry;

/// What a plugin does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// Does something to frames
    Processor,
    /// Reads from somewhere
    Source,
    /// Writes to somewhere
    Sink,
    /// Cuts frames out of a byte stream, and writes them as one
    Framing,
}

/// Files that differ from kind to kind.
pub(super) struct Template {
    /// `src/main.rs`
    pub(super) program: &'static str,
    /// `pipeline.toml`
    pub(super) pipeline: &'static str,
    /// Dependencies besides those of all, as lines of a manifest.
    pub(super) dependencies: &'static str,
    /// The command that runs the pipeline.
    pub(super) trial: &'static str,
}

impl Kind {
    /// What plugins of the kind are called already.
    pub(super) fn names(self, registry: &Registry) -> Vec<String> {
        match self {
            Self::Processor => registry.names(Role::Processor),
            Self::Source => registry.names(Role::Source),
            Self::Sink => registry.names(Role::Sink),
            Self::Framing => {
                let built_in = framing::BUILT_IN.iter().map(|name| (*name).to_owned());
                built_in.chain(registry.framing_names()).collect()
            }
        }
    }

    pub(super) fn template(self) -> Template {
        match self {
            Self::Processor => Template {
                program: include_str!("templates/processor/main.rs"),
                pipeline: include_str!("templates/processor/pipeline.toml"),
                dependencies: "",
                trial: r"printf 'a,1\nb,1\na,2\n' | cargo run -- run pipeline.toml",
            },
            Self::Source => Template {
                program: include_str!("templates/source/main.rs"),
                pipeline: include_str!("templates/source/pipeline.toml"),
                dependencies: "tokio = { version = \"1\", default-features = false, features = [\"macros\", \"time\"] }\n",
                trial: "cargo run -- run pipeline.toml",
            },
            Self::Sink => Template {
                program: include_str!("templates/sink/main.rs"),
                pipeline: include_str!("templates/sink/pipeline.toml"),
                dependencies: "\n[dev-dependencies]\ntempfile = \"3\"\n",
                trial: "cargo run -- run pipeline.toml && cat data/lines.txt",
            },
            Self::Framing => Template {
                program: include_str!("templates/framing/main.rs"),
                pipeline: include_str!("templates/framing/pipeline.toml"),
                dependencies: "",
                trial: r"printf 'one\ntwo\n' | cargo run -- run pipeline.toml | od -c",
            },
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Processor => "processor",
            Self::Source => "source",
            Self::Sink => "sink",
            Self::Framing => "framing",
        })
    }
}
