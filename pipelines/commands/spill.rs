//! `aqueduct spill`: looks into a store's directory, and mends it by hand.

mod compact;
mod export;
mod forget;
mod info;
mod list;
mod peek;
mod replay;
mod reroute;
mod skip;
mod verify;

use crate::say::say;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};

use crate::commands::{FAILED, WRONG};
use crate::framework::plugin::Registry;
use crate::framework::spill::SpillError;
use crate::framework::spill::inspect::{Inspection, Stray};
use crate::framework::spill::thread::THREAD_PREFIX;
use crate::framework::units::moment;
use crate::terminal::{self, Fitted};

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
    #[command(flatten)]
    ByHand(ByHand),
    /// Send its frames through a pipeline; they stay in the store
    Replay(Box<replay::Replay>),
}

/// What needs no pipeline.
#[derive(Debug, Subcommand)]
enum ByHand {
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
    /// Remove the cursor of a client that will not come back
    Forget(forget::Forget),
    /// Delete what is not needed any more
    Compact(compact::Compact),
}

const HELP: &str = "\
A position counts the frames since the store was created; ranges end before their second position.

info, list, peek, verify, export and replay only read: they create, lock, upgrade and change nothing, and may be used while a pipeline runs on \
the store. Then they do not see what is only in its memory (`aqueduct status` counts that, `aqueduct trace` finds a message in it), and \
frames they show may have been delivered meanwhile. A pipeline in another container is not seen to be running.
skip, forget and compact refuse to touch a store in use. They open it as a run does, so an older format becomes the present one.

replay runs a pipeline with the store in the place of its sources: its frames go where those send theirs, or to the actor that --into names, with number, time, attributes and \
trace as they were, and it ends when all are delivered. They stay in the store, so a pipeline that runs on it delivers them too: `skip` them when that is not wanted. Ended early, it says from \
which position to go on. DIR may be a copy of a store, or its folder `quarantine`. While it runs `aqueduct status NAME-replay` shows it. To see what would come, use `export`.
  aqueduct spill data/feed replay feed.toml --into process --since 2026-11-21T05:06:30Z

Exit codes: 0 done; 1 something is damaged or missing, the store cannot be used, or a replay failed or ended early; 2 the command line or the pipeline file is wrong, or \
there is no store; of a replay also 3 frames were sent and not delivered, 4 it was ended by force.";

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
    /// All but a replay runs on a thread of its own, named so that contained panics over damaged files stay out of the terminal.
    pub(crate) fn run(self, registry: &Registry) -> ExitCode {
        let action = match self.action {
            Some(Action::Replay(replay)) => return replay.run(&self.directory, registry),
            Some(Action::ByHand(action)) => Some(action),
            None => None,
        };
        let worker = thread::Builder::new().name(format!("{THREAD_PREFIX}command"));
        let ended = worker
            .spawn(move || act(&self.directory, action.as_ref()))
            .map(thread::JoinHandle::join);
        match ended {
            Ok(Ok(code)) => ExitCode::from(code),
            Ok(Err(_)) => {
                say!("the command failed on what it found; `verify` may say more about the store");
                ExitCode::from(FAILED)
            }
            Err(error) => {
                say!("cannot start a thread: {error}");
                ExitCode::from(FAILED)
            }
        }
    }
}

fn act(directory: &Path, action: Option<&ByHand>) -> u8 {
    let mut out = BufWriter::new(io::stdout().lock());
    let done = carry_out(directory, action, &mut out);
    let done = done.and_then(|code| out.flush().map(|()| code).map_err(Failure::Output));
    match done {
        Ok(code) => code,
        // A reader that has seen enough, such as `head`, is no failure.
        Err(Failure::Output(error)) if error.kind() == ErrorKind::BrokenPipe => 0,
        Err(Failure::Output(error)) => {
            say!("cannot write to standard output: {error}");
            FAILED
        }
        Err(Failure::Store(error)) => {
            say!("{error}");
            code_of(&error)
        }
    }
}

fn carry_out(directory: &Path, action: Option<&ByHand>, out: &mut dyn Write) -> Done {
    let found = Inspection::of(directory)?;
    match action {
        None | Some(ByHand::Info) => info::tell(&found, &mut fitted(out)),
        Some(ByHand::List) => list::tell(&found, &mut fitted(out)),
        Some(ByHand::Peek(peek)) => peek.tell(&found, &mut fitted(out)),
        Some(ByHand::Verify) => verify::tell(&found, &mut fitted(out)),
        Some(ByHand::Export(export)) => export.write(&found, out),
        Some(ByHand::Skip(skip)) => skip.carry_out(&found, out),
        Some(ByHand::Forget(forget)) => forget.carry_out(&found, out),
        Some(ByHand::Compact(compact)) => compact.carry_out(&found, out),
    }
}

fn fitted(out: &mut dyn Write) -> Fitted<&mut dyn Write> {
    Fitted::new(out, terminal::columns())
}

/// The exit code for a store that cannot be used.
fn code_of(error: &SpillError) -> u8 {
    let wrong = matches!(error, SpillError::NoStore { .. });
    if wrong { WRONG } else { FAILED }
}

/// `1 frame`, `2 frames`.
fn counted(count: u64, one: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {one}{ending}")
}

fn positions(range: &Range<u64>) -> String {
    format!("positions {} to {}", range.start, range.end)
}

/// Those of them that were settled before are not known any more.
fn dropped(range: &Range<u64>) -> String {
    let frames = counted(range.end - range.start, "frame");
    format!(
        "{frames} at most dropped on purpose when the store was full, {}",
        positions(range)
    )
}

fn no_segment(stray: &Stray) -> String {
    format!(
        "{}  no segment of this store: its records stand at position {} and behind; the next start sets it aside",
        name_of(&stray.path),
        stray.position
    )
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// A time given on the command line; clap says where it was given.
fn time(text: &str) -> Result<SystemTime, String> {
    moment(text, SystemTime::now())
}

fn time_of(ns: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(ns)
}

/// What cannot be seen of a store in use, for standard error.
fn warn_in_use(found: &Inspection) {
    if let Some(holder) = &found.holder {
        let directory = found.path.display();
        say!(
            "{directory} is in use by {holder}: what it has only in memory is not seen, and what is seen may be delivered meanwhile"
        );
    }
}
