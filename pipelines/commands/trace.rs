//! `aqueduct trace`: finds one message in running pipelines, over their admin sockets.

use crate::say::{say, show, tell};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use crate::admin::{self, Ask, WITHIN_MAX};
use crate::commands::{FAILED, WRONG};
use crate::framework::find::Wanted;
use crate::framework::pipeline::Trail;
use crate::framework::units::Period;
use crate::words;

/// How long a pipeline may take beyond its search of the disks.
const PATIENCE: Duration = Duration::from_secs(30);

/// Find one message in running pipelines
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Trace {
    /// The source actor and the number it gave the frame, such as `c_server:4711`; anything else is an id
    #[arg(value_name = "SOURCE:SEQ|ID")]
    message: String,
    /// Take it for an id, even if it looks like SOURCE:SEQ
    #[arg(long)]
    id: bool,
    /// Ask only the pipeline of this name; without it, all of this user's
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
    /// The admin socket, where the config sets another than the usual one
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// How long disks are searched, at most a minute; the answer says when that was not enough
    #[arg(long, value_name = "TIME", default_value = "5s")]
    within: Period,
    /// Print JSON instead of words, a line for each pipeline
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
A frame's number is in its spans (aqueduct.source, aqueduct.seq.first and .last), in log lines about it (source, seq) and in dead letters \
written as JSON. After a restart a source counts from 0 again, so frames of two runs may be found. An id is what `[telemetry.messages] id` reads \
out of a frame; without that table, every frame with this text in it counts.

Example:
  $ aqueduct trace c_server:4711
  pipeline legacy-feed
    c_server:4711, trace 8a3c60f7d188f8fa79d48a391a778fa6, counted since 2026-11-21T05:06:30Z
    drain: waits on disk, 1204332 frames before it; received 19 min ago

It changes nothing and waits for nobody: an actor that is busy for longer than a second is named in a note.

Exit codes: 0 found; 1 not found, or no such pipeline is running; 2 the command line is wrong.";

impl Trace {
    pub(crate) fn run(&self) -> ExitCode {
        let within = self.within.duration();
        if within > WITHIN_MAX {
            say!("--within {}: at most {}", self.within, Period(WITHIN_MAX));
            return ExitCode::from(WRONG);
        }
        let sockets = admin::sockets(self.socket.as_deref(), self.pipeline.as_deref());
        if sockets.is_empty() {
            let folder = admin::folder();
            say!("no pipeline of this user is running (looked in {})", folder.display());
        }
        if let (None, Err(error)) = (&self.socket, admin::trusted()) {
            say!("{error}; nothing in it is believed, see XDG_RUNTIME_DIR and --socket");
            return ExitCode::from(FAILED);
        }
        let mut found = false;
        for socket in sockets {
            let ask = Ask::Find {
                wanted: wanted(&self.message, self.id),
                within_ms: within.as_millis() as u64,
            };
            match admin::ask(&socket, ask, within + PATIENCE) {
                Ok(text) => found |= self.tell(&text, &socket),
                Err(error) => say!("{}: {error}; is the pipeline running, and yours?", socket.display()),
            }
        }
        ExitCode::from(if found { 0 } else { FAILED })
    }

    /// Prints the answer; true when the message is there.
    fn tell(&self, text: &str, socket: &Path) -> bool {
        let read = serde_json::from_str::<Value>(text).and_then(|value| {
            let printed = words::json(&value);
            let mut value = value;
            words::clean(&mut value);
            Ok((printed, serde_json::from_value::<Trail>(value)?))
        });
        match read {
            Ok((text, trail)) => {
                if self.json {
                    show!("{text}");
                } else {
                    tell!("{}", words::trail(&trail).trim_end());
                }
                !trail.found.is_empty()
            }
            Err(error) => {
                let socket = socket.display();
                say!("{socket}: the answer is no trail ({error}); is it another version?");
                false
            }
        }
    }
}

/// `SOURCE:SEQ` where SOURCE could be an actor's name; else an id.
fn wanted(message: &str, is_id: bool) -> Wanted {
    let name = |text: &str| {
        text.starts_with(|first: char| first.is_ascii_lowercase())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    let number = message.split_once(':').and_then(|(source, seq)| {
        let seq = seq.parse().ok()?;
        (!is_id && name(source)).then(|| Wanted::Number {
            source: source.to_owned(),
            seq,
        })
    });
    number.unwrap_or_else(|| Wanted::Id(message.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_with_a_number_is_no_id_unless_it_is_said_to_be_one() {
        let number = Wanted::Number {
            source: "c_server".into(),
            seq: 4711,
        };
        assert_eq!(wanted("c_server:4711", false), number);
        let id = |text: &str| Wanted::Id(text.into());
        assert_eq!(wanted("c_server:4711", true), id("c_server:4711"));
        for text in ["o-17", "Order:17", "c_server:", "c_server:-1", "a:b:1", "4711", ":1"] {
            assert_eq!(wanted(text, false), id(text));
        }
    }
}
