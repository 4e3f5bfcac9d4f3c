//! `aqueduct spill DIR replay`: sends what is in the store through a pipeline.

use crate::say::say;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::reroute::{reroute, source_name, targets};
use super::{code_of, counted, positions};
use crate::cli::Files;
use crate::commands::run::{self, Ended};
use crate::commands::{FAILED, WRONG, load};
use crate::framework::config::{HostConfig, Loaded, PipelineConfig};
use crate::framework::pipeline::PipelineStatus;
use crate::framework::plugin::Registry;
use crate::framework::spill::inspect::Inspection;

#[derive(Debug, Args)]
pub(super) struct Replay {
    #[command(flatten)]
    pipeline: Files,
    /// Begin at this position instead of the oldest frame that is not settled
    #[arg(long, value_name = "POSITION")]
    from: Option<u64>,
    /// End before this position
    #[arg(long, value_name = "POSITION", alias = "until")]
    to: Option<u64>,
    /// Only frames received at this time or later, such as 2026-11-21T05:06:30Z (RFC 3339, any zone), a date, or 1h (ago)
    #[arg(long, value_name = "TIME", value_parser = checked_time)]
    since: Option<String>,
    /// The actor of the pipeline that gets the frames, instead of those that its sources feed
    #[arg(long, value_name = "ACTOR")]
    into: Option<String>,
    /// Draw no live lines, also on a terminal
    #[arg(long)]
    no_live: bool,
}

/// A time in the form that the source reads: what is so long ago must not be seen from another moment there.
fn checked_time(text: &str) -> Result<String, String> {
    super::time(text).map(|time| humantime::format_rfc3339_nanos(time).to_string())
}

impl Replay {
    pub(super) fn run(&self, directory: &Path, registry: &Registry) -> ExitCode {
        if self.pipeline.files.len() > 1 {
            say!("replay takes one pipeline file");
            return ExitCode::from(WRONG);
        }
        let found = match Inspection::of(directory) {
            Ok(found) => found,
            Err(error) => {
                say!("{error}");
                return ExitCode::from(code_of(&error));
            }
        };
        let mut loaded = match load(&self.pipeline, registry) {
            Ok(loaded) => loaded,
            Err(code) => return code,
        };
        let (into, source) = match self.reroute(directory, &mut loaded) {
            Ok(rerouted) => rerouted,
            Err(why) => {
                say!("{why}");
                return ExitCode::from(WRONG);
            }
        };
        let Ended { code, statuses } = run::execute(&loaded, registry, !self.no_live);
        let Some(replayed) = statuses.first().and_then(|status| Replayed::of(status, &source)) else {
            return ExitCode::from(code);
        };
        replayed.tell(&into);
        if replayed.is_whole() && self.is_from_the_oldest(&found) && replayed.frames > 0 {
            let (directory, to) = (directory.display(), replayed.range.end);
            say!("they stay in the store; `aqueduct spill {directory} skip --to {to}` gives them up");
        } else if replayed.frames > 0 {
            say!("they stay in the store");
        }
        ExitCode::from(match code {
            0 if !replayed.is_whole() => FAILED,
            code => code,
        })
    }

    /// Whether nothing that waits was left out before the end.
    fn is_from_the_oldest(&self, found: &Inspection) -> bool {
        self.since.is_none() && self.from.is_none_or(|from| from <= found.settled)
    }

    /// Puts the store in the place of the pipeline's sources. Gives the names of the actors that get the frames, and of the one that reads them.
    fn reroute(&self, directory: &Path, loaded: &mut Loaded) -> Result<(String, String), String> {
        let [pipeline] = &loaded.pipelines[..] else {
            return Err("replay takes one pipeline file".to_owned());
        };
        let in_file = |why| format!("{}: {why}", pipeline.file.display());
        let targets = targets(pipeline, self.into.as_deref()).map_err(in_file)?;
        let directory = absolute(directory);
        let settings = json!({ "directory": directory, "from": self.from, "to": self.to, "since": self.since });
        let rerouted = reroute(pipeline, &targets, settings);
        if let Some(store) = own_store(&rerouted, &directory) {
            return Err(in_file(format!(
                "it keeps its frames in this very store, as `{store}`, and delivers them by itself when it runs; \
                 to send them past it, name an actor behind it with --into"
            )));
        }
        let source = source_name(pipeline);
        loaded.pipelines = vec![rerouted];
        // That one is for the pipeline itself, which may run meanwhile.
        loaded.process.admin.socket = None;
        Ok((targets.join(", "), source))
    }
}

/// As files are compared.
fn absolute(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// The pipeline's store that keeps its files there.
fn own_store<'a>(pipeline: &'a PipelineConfig, directory: &Path) -> Option<&'a str> {
    let found = pipeline.actors.iter().find(|actor| match &actor.host {
        HostConfig::Spill(spill) => absolute(&spill.directory) == directory,
        _ => false,
    });
    found.map(|actor| actor.name.as_str())
}

/// What a replay came to.
#[derive(Debug)]
struct Replayed {
    frames: u64,
    range: std::ops::Range<u64>,
    rejected: u64,
    /// Sent, and not settled in any good way.
    undelivered: u64,
    missing: u64,
    damaged: u64,
    finished: bool,
}

impl Replayed {
    fn of(status: &PipelineStatus, source: &str) -> Option<Self> {
        let numbers = &status.actors.iter().find(|actor| actor.name == source)?.meters.numbers;
        let number = |name: &str| numbers.get(name).copied().unwrap_or(0);
        let rejected = status
            .actors
            .iter()
            .filter_map(|actor| actor.meters.numbers.get("rejected"));
        Some(Self {
            frames: number("frames_out"),
            range: number("first_position")..number("position"),
            rejected: rejected.sum(),
            undelivered: number("lost") + number("frames_out").saturating_sub(number("settled")),
            missing: number("missing_frames"),
            damaged: number("damaged_segments"),
            finished: number("finished") > 0,
        })
    }

    /// On standard error: the pipeline may have a sink `stdout`.
    fn tell(&self, into: &str) {
        match self.frames.saturating_sub(self.undelivered) {
            0 => say!("0 frames replayed"),
            frames => say!(
                "{} replayed into {into}, {}",
                counted(frames, "frame"),
                positions(&self.range)
            ),
        }
        if self.undelivered > 0 {
            say!("{} undelivered", counted(self.undelivered, "frame"));
        }
        if self.rejected > 0 {
            say!("{} rejected", counted(self.rejected, "frame"));
        }
        if self.damaged > 0 || self.missing > 0 {
            let (segments, frames) = (counted(self.damaged, "damaged segment"), counted(self.missing, "frame"));
            say!("{segments}, {frames} missing; `verify` says more");
        }
        if !self.is_complete() && self.frames > 0 {
            let position = self.range.end;
            say!(
                "ended early: everything before position {position} is settled, and some behind it may be; go on with --from {position}"
            );
        }
    }

    /// Everything that was wanted and could be read has been settled.
    fn is_complete(&self) -> bool {
        self.finished && self.undelivered == 0
    }

    fn is_whole(&self) -> bool {
        self.is_complete() && self.damaged == 0 && self.missing == 0
    }
}
