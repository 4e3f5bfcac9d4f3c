//! `aqueduct demo`: the story of a server that will not wait, played on loopback in three acts.
//!
//! | file | noun |
//! |---|---|
//! | `script` | how long everything takes, how fast everything is |
//! | `server` | the legacy server: `compiled` from C, or `threaded` in Rust where no compiler is |
//! | `message`, `sequence` | what the server sends, and the check of what arrived |
//! | `destination` | who gets the messages, and its moods |
//! | `naive`, `repaired`, `pipeline` | the acts, with their readers |
//! | `trace` | `--trace`: act 3 in a tracing backend |
//! | `screen`, `table` | what the audience sees |
//! | `interrupt` | Ctrl-C: a thread that tidies up and ends the process |

mod destination;
mod folder;
mod interrupt;
mod message;
mod naive;
mod pipeline;
mod repaired;
mod screen;
mod script;
mod sequence;
mod server;
mod table;
mod trace;

use crate::say::say;
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;

use crate::commands::{FAILED, LOST};
use crate::framework::plugin::Registry;
use folder::Folder;
use screen::Screen;
use script::Script;
use server::Legacy;
use table::Row;
use trace::Tracing;

/// Play the story
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Send the spans of act 3 to this collector (OTLP over HTTP), and say which trace to look at
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "http://127.0.0.1:4318")]
    trace: Option<String>,
    /// Leave config, logs and data behind to look at
    #[arg(long)]
    keep: bool,
    /// Shorten every act, for tests
    #[arg(long, hide = true)]
    quick: bool,
}

impl Demo {
    pub(crate) fn run(&self, registry: &Registry) -> ExitCode {
        let mut screen = Screen::new();
        match self.play(registry, &mut screen) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::from(LOST),
            Err(error) => {
                screen.end_line();
                say!("the demo cannot go on: {error}");
                ExitCode::from(FAILED)
            }
        }
    }

    /// Plays everything; true when the pipeline kept its promises.
    fn play(&self, registry: &Registry, screen: &mut Screen) -> Result<bool, String> {
        let script = if self.quick { Script::quick() } else { Script::full() };
        let tracing = self.trace.as_deref().map(Tracing::start).transpose()?;
        let folder = Folder::new(self.keep)?;
        let began = Instant::now();
        introduce(screen, &script);
        let legacy = Legacy::prepare(folder.path())?;
        interrupt::watch(&folder, legacy.process())?;
        screen.say(&legacy.description());

        let rows = [
            naive::play(screen, &script, &legacy)?,
            repaired::play(screen, &script, &legacy)?,
            pipeline::play(screen, &script, &legacy, &folder, registry, tracing.as_ref())?,
        ];
        let [_, _, last] = &rows;
        conclude(screen, &rows, last, began);
        if let Some(tracing) = tracing {
            screen.say(&tracing.finish());
        }
        if self.keep {
            screen.say(&folder.description());
        }
        Ok(last.is_clean())
    }
}

fn introduce(screen: &mut Screen, script: &Script) {
    screen.title("Aqueduct: the story in three acts, on this machine only");
    screen.say(&format!(
        "A legacy server pushes {} of numbered messages per second to whoever connects. It does not wait: when \
         send() answers EAGAIN, because the reader has let all buffers fill up, it closes the connection, and what \
         it had to say is gone. Nobody may change this server. Who can read from it without losing anything?",
        crate::words::bytes(script.rate)
    ));
}

fn conclude(screen: &mut Screen, rows: &[Row; 3], last: &Row, began: Instant) {
    screen.title("What became of the messages");
    screen.table(&table::render(rows, screen.columns()));
    screen.say(
        "+ and everything the server had to say from then on, until somebody connected again.\n\
         Gap: the longest time that received bytes lay in the socket before they were read.",
    );
    if last.is_clean() {
        screen.good("Nothing was lost, nothing came twice, everything came in order.");
    } else {
        screen.bad("The pipeline did not keep its promise. Please report this, with what `demo --keep` leaves.");
    }
    screen.say(&format!("Played in {:.0} s.", began.elapsed().as_secs_f64()));
}
