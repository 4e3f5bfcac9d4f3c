//! `aqueduct new`: a plugin in a crate of its own, or a pipeline, that works before anything is changed.

mod kind;
mod name;
mod origin;
mod pipeline;
mod plugin;

use crate::say::{say, tell};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::commands::FAILED;
use crate::framework::plugin::Registry;

/// Write a plugin or a pipeline to begin with
#[derive(Debug, Args)]
pub(crate) struct New {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Write a crate with a plugin that works, its tests, and a pipeline that uses it
    Plugin(plugin::NewPlugin),
    /// Write a commented pipeline file on ports that are free now
    Pipeline(pipeline::NewPipeline),
}

impl New {
    pub(crate) fn run(&self, registry: &Registry) -> ExitCode {
        let written = match &self.what {
            What::Plugin(plugin) => plugin.write(registry),
            What::Pipeline(pipeline) => pipeline.write(),
        };
        match written {
            Ok(next) => {
                tell!("{}", next.trim_end());
                ExitCode::SUCCESS
            }
            Err(mistake) => {
                say!("{}", mistake.text);
                ExitCode::from(mistake.code)
            }
        }
    }
}

/// Why nothing, or not everything, was written.
#[derive(Debug)]
struct Mistake {
    code: u8,
    text: String,
}

impl Mistake {
    /// The command line is wrong; nothing was created.
    fn wrong(text: impl Into<String>) -> Self {
        Self {
            code: crate::commands::WRONG,
            text: text.into(),
        }
    }
}

/// Writes a file and the folders it is in.
fn write(path: &Path, text: &str) -> Result<(), Mistake> {
    let done = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        // It fails where there is a file already: whatever it is, it is somebody's work.
        File::create_new(path)?.write_all(text.as_bytes())
    };
    done().map_err(|error| Mistake {
        code: FAILED,
        text: format!("cannot write {}: {error}", path.display()),
    })
}

/// What to type next, a line each.
fn commands(lines: &[String]) -> String {
    lines.iter().fold("\nNext:\n".to_owned(), |mut text, line| {
        text += "  ";
        text += line;
        text += "\n";
        text
    })
}
