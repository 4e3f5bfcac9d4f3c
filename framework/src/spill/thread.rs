//! The thread that owns a store's files: redb blocks, and nothing that blocks runs on a data Arbiter.

mod messages;
mod named;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use self::worker::Worker;
use super::named::Recovered as RecoveredCursor;
use crate::batch::StreamId;
use crate::spill::{Recovered, SpillError, SpillOptions, Storage, Streams, Usage};

pub use messages::{Failure, StorageCommand, StorageEvent};
pub use named::{NamedCommand, NamedEvent};

/// What the names of these threads begin with: a panic there is contained or ends the store, and is told as an error.
pub const THREAD_PREFIX: &str = "spill-";

/// The handle on the thread `spill-NAME`.
#[derive(Debug)]
pub struct SpillThread {
    commands: Sender<StorageCommand>,
    handle: JoinHandle<()>,
    named: Vec<RecoveredCursor>,
    streams: Streams,
    stream: Option<StreamId>,
    usage: Usage,
    left_behind: Option<PathBuf>,
    epoch: u64,
}

impl SpillThread {
    /// Opens the store (blocking) and starts its thread. `report` is called on that thread and must not block.
    ///
    /// # Errors
    /// When the store cannot be opened or the thread not be started.
    pub fn start(
        name: &str,
        options: &SpillOptions,
        report: impl Fn(StorageEvent) + Send + 'static,
    ) -> Result<(Self, Recovered), SpillError> {
        let (commands, inbox) = channel();
        let (opened, wait) = channel();
        let options = options.clone();
        let directory = options.directory.clone();
        // The files are opened on the thread too: all of the storage engine stays there, its panics included.
        let work = move || match Storage::open(&options) {
            Ok((storage, recovered)) => {
                let left_behind = storage.left_behind().map(Path::to_owned);
                let known = (
                    storage.named().to_vec(),
                    storage.streams().clone(),
                    storage.stream(),
                    left_behind,
                    storage.epoch(),
                );
                let _ = opened.send(Ok((recovered, known, storage.usage())));
                let mut worker = Worker::new(storage, options.commit_delay, report);
                worker.run(&inbox);
                worker.close();
            }
            Err(error) => {
                let _ = opened.send(Err(error));
            }
        };
        let thread = std::thread::Builder::new().name(format!("{THREAD_PREFIX}{name}"));
        let handle = thread
            .spawn(work)
            .map_err(|error| SpillError::io("start a thread for", &directory, error))?;
        let (recovered, (named, streams, stream, left_behind, epoch), usage) = wait.recv().unwrap_or_else(|_| {
            Err(SpillError::Panicked {
                what: "open",
                path: directory,
                message: "outside of the storage engine".to_owned(),
            })
        })?;
        let thread = Self {
            commands,
            handle,
            named,
            streams,
            stream,
            usage,
            left_behind,
            epoch,
        };
        Ok((thread, recovered))
    }

    /// The named cursors as they were found when the store was opened.
    pub fn named(&self) -> &[RecoveredCursor] {
        &self.named
    }

    /// How far the store has the streams that end in it; follows every commit.
    pub fn streams(&self) -> &Streams {
        &self.streams
    }

    /// What the store's own positions are called; none of one that is not durable.
    pub fn stream(&self) -> Option<StreamId> {
        self.stream
    }

    /// What the store took when it was opened, and what was found damaged by then.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// Another store beside it that the same actor used before, and that still has segments.
    pub fn left_behind(&self) -> Option<&Path> {
        self.left_behind.as_deref()
    }

    /// The epoch of the numbers that sources in front of it give in this run: see [`Storage::epoch`].
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Queues a command; false when the thread is gone.
    pub fn send(&self, command: StorageCommand) -> bool {
        self.commands.send(command).is_ok()
    }

    /// Closes the store and waits for the thread (blocking). False when it panicked.
    pub fn close(self) -> bool {
        let _ = self.commands.send(StorageCommand::Close);
        self.handle.join().is_ok()
    }
}
