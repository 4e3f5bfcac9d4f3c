//! The thread that reads the store, because its files may be slow.

use std::ops::Range;
use std::path::PathBuf;
use std::thread;

use aqueduct_framework::batch::Batch;
use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::plugin::Context;
use aqueduct_framework::spill::SpillError;
use aqueduct_framework::spill::inspect::{Inspection, Sight};
use aqueduct_framework::spill::thread::THREAD_PREFIX;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Batches read ahead of the demand for them. The walk itself reads 4 MiB at once.
const READ_AHEAD: usize = 16;

/// What is to be read.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) directory: PathBuf,
    pub(super) from: Option<u64>,
    pub(super) to: u64,
    pub(super) since_ns: u64,
}

/// Batches, with the position of the first frame of each. It ends behind an error, and at the end of what is wanted.
pub(super) type Batches = Receiver<Result<(u64, Batch)>>;

/// Starts the thread. It ends when nobody receives any more.
pub(super) fn start(wanted: Wanted, context: Context) -> Result<Batches> {
    let (to, batches) = channel(READ_AHEAD);
    // By this prefix contained panics over damaged files stay out of the terminal.
    let name = format!("{THREAD_PREFIX}{}", context.actor);
    let walker = Walker { wanted, context, to };
    let thread = thread::Builder::new().name(name).spawn(move || walker.run());
    thread.map_err(|error| Error::fatal("cannot start the thread that reads the store").because(error))?;
    Ok(batches)
}

struct Walker {
    wanted: Wanted,
    context: Context,
    to: Sender<Result<(u64, Batch)>>,
}

impl Walker {
    fn run(self) {
        if let Err(error) = self.walk() {
            // Nobody waits for it any more when the pipeline is ending.
            let _ = self.to.blocking_send(Err(error));
        }
    }

    fn walk(&self) -> Result<()> {
        let store = Inspection::of(&self.wanted.directory).map_err(fatal)?;
        self.warn_in_use(&store)?;
        for sight in store.walk(self.wanted.from.unwrap_or(store.settled)).to(self.wanted.to) {
            match sight.map_err(fatal)? {
                Sight::Record { batches, .. } => {
                    let late = batches
                        .into_iter()
                        .filter(|(_, batch)| batch.received_ns >= self.wanted.since_ns);
                    for found in late {
                        if self.to.blocking_send(Ok(found)).is_err() {
                            return Ok(());
                        }
                    }
                }
                Sight::Damaged { segment, why } => {
                    self.context.counter("damaged_segments").add(1);
                    tracing::warn!(actor = %self.context.actor, "segment {segment} is damaged, what can be read of it goes on: {why}");
                }
                Sight::Missing { segment, positions } if !store.is_written(segment) => self.missing(positions),
                Sight::Dropped { positions } => {
                    let (actor, frames) = (&self.context.actor, positions.end - positions.start);
                    tracing::info!(%actor, "{frames} frames at most were dropped on purpose when the store was full, positions {} to {}", positions.start, positions.end);
                }
                Sight::Missing { .. } | Sight::Gone { .. } => {}
            }
        }
        Ok(())
    }

    fn missing(&self, positions: Range<u64>) {
        let frames = positions.end - positions.start;
        self.context.counter("missing_frames").add(frames);
        tracing::warn!(actor = %self.context.actor, "{frames} frames are missing, positions {} to {}", positions.start, positions.end);
    }

    fn warn_in_use(&self, store: &Inspection) -> Result<()> {
        let (directory, Some(holder)) = (store.path.display(), &store.holder) else {
            return Ok(());
        };
        if holder.process == Some(std::process::id()) {
            return Err(Error::fatal(format!(
                "{directory} is a store of a pipeline of this very process, which delivers what is in it by itself"
            )));
        }
        tracing::warn!(
            actor = %self.context.actor,
            "{directory} is in use by {holder}: what it has only in memory is not read, and what is read may be delivered by it too"
        );
        Ok(())
    }
}

fn fatal(error: SpillError) -> Error {
    Error::fatal(error.to_string())
}
