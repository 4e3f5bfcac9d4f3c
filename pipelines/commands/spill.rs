//! `aqueduct spill`: looks into a store's directory, and mends it by hand.

mod compact;
mod export;
mod info;
mod list;
mod peek;
mod skip;
mod verify;

use std::io::{self, BufWriter, ErrorKind, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};

use crate::commands::{FAILED, WRONG};
use crate::framework::spill::SpillError;
use crate::framework::spill::inspect::Inspection;
use crate::framework::spill::thread::THREAD_PREFIX;

/// Look into a spill store's directory, or mend it by hand
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Spill {
    /// The `directory` of a table under [spills]
    directory: PathBuf,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// What waits in it, since when, and who uses it (the default)
    Info,
    /// Its segments: their positions, sizes, and damage that shows without reading everything
    List,
    /// Its next frames, in words
    Peek(peek::Peek),
    /// Read everything and tell what is damaged or missing
    Verify,
    /// Write its frames to standard output; they stay in the store
    Export(export::Export),
    /// Give up the oldest frames: they will not be delivered
    Skip(skip::Skip),
    /// Delete what is not needed any more
    Compact(compact::Compact),
}

const HELP: &str = "\
A position counts the frames since the store was created; ranges end before their second position.

info, list, peek, verify and export only read: they create, lock, upgrade and change nothing, and may be used while a pipeline runs on \
the store. Then they do not see what is only in its memory (`aqueduct status` counts that, `aqueduct trace` finds a message in it), and \
frames they show may have been delivered meanwhile. A pipeline in another container is not seen to be running.
skip and compact refuse to touch a store in use. They open it as a run does, so an older format becomes the present one.

To replay frames, from a position or a time (`--since`), pipe `export` into a pipeline with a `stdin` source. What comes out stays in the store: `skip` it, or it is delivered a second time.
  aqueduct spill data/feed export --to 5000 | aqueduct run stdin-to-tcp.toml

Exit codes: 0 done; 1 something is damaged or missing, or the store cannot be used; 2 the command line is wrong, or there is no store.";

/// Why a command ended early.
#[derive(Debug)]
enum Failure {
    Output(io::Error),
    Store(SpillError),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<SpillError> for Failure {
    fn from(error: SpillError) -> Self {
        Self::Store(error)
    }
}

/// The exit code, when nothing ended the command early.
type Done = Result<u8, Failure>;

impl Spill {
    /// Runs on a thread of its own, named so that contained panics over damaged files stay out of the terminal.
    pub(crate) fn run(self) -> ExitCode {
        let worker = thread::Builder::new().name(format!("{THREAD_PREFIX}command"));
        let ended = worker.spawn(move || self.act()).map(thread::JoinHandle::join);
        match ended {
            Ok(Ok(code)) => ExitCode::from(code),
            Ok(Err(_)) => {
                eprintln!("the command failed on what it found; `verify` may say more about the store");
                ExitCode::from(FAILED)
            }
            Err(error) => {
                eprintln!("cannot start a thread: {error}");
                ExitCode::from(FAILED)
            }
        }
    }

    fn act(&self) -> u8 {
        let mut out = BufWriter::new(io::stdout().lock());
        let done = self.carry_out(&mut out);
        let done = done.and_then(|code| out.flush().map(|()| code).map_err(Failure::Output));
        match done {
            Ok(code) => code,
            // A reader that has seen enough, such as `head`, is no failure.
            Err(Failure::Output(error)) if error.kind() == ErrorKind::BrokenPipe => 0,
            Err(Failure::Output(error)) => {
                eprintln!("cannot write to standard output: {error}");
                FAILED
            }
            Err(Failure::Store(error)) => {
                eprintln!("{error}");
                let wrong = matches!(error, SpillError::NoStore { .. });
                if wrong { WRONG } else { FAILED }
            }
        }
    }

    fn carry_out(&self, out: &mut dyn Write) -> Done {
        let found = Inspection::of(&self.directory)?;
        match &self.action {
            None | Some(Action::Info) => info::tell(&found, out),
            Some(Action::List) => list::tell(&found, out),
            Some(Action::Peek(peek)) => peek.tell(&found, out),
            Some(Action::Verify) => verify::tell(&found, out),
            Some(Action::Export(export)) => export.write(&found, out),
            Some(Action::Skip(skip)) => skip.carry_out(&found, out),
            Some(Action::Compact(compact)) => compact.carry_out(&found, out),
        }
    }
}

/// `1 frame`, `2 frames`.
fn counted(count: u64, one: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {one}{ending}")
}

fn positions(range: &Range<u64>) -> String {
    format!("positions {} to {}", range.start, range.end)
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn time_of(ns: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(ns)
}

/// What cannot be seen of a store in use, for standard error.
fn warn_in_use(found: &Inspection) {
    if let Some(holder) = &found.holder {
        let directory = found.path.display();
        eprintln!(
            "{directory} is in use by {holder}: what it has only in memory is not seen, and what is seen may be delivered meanwhile"
        );
    }
}
