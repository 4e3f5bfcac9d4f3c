//! The thread that owns a store's files: redb blocks, and nothing that blocks runs on a data Arbiter.

mod named;

use std::ops::Range;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::batch::{Batch, StreamId};
use crate::spill::search::{Search, Searched};
use crate::spill::{Found, Glass, Recovered, SpillError, SpillOptions, Storage, Streams, Usage, named as files};

pub use named::{NamedCommand, NamedEvent};

/// What the thread is asked to do, in order.
#[derive(Debug)]
pub enum StorageCommand {
    /// Write the batches; they are committed together with whatever else gathered.
    Append {
        /// See [`crate::spill::fifo::Effect::Write`]: after a failure, appends of the same generation are ignored.
        generation: u64,
        /// Batches with their positions, in order.
        batches: Vec<(u64, Batch)>,
    },
    /// Read from a position.
    Read {
        /// The first position wanted.
        from: u64,
        /// Where to stop.
        to: u64,
        /// About how many payload bytes.
        bytes: u64,
    },
    /// Make the cursor durable, delete segments below it.
    Settle {
        /// Everything below is settled.
        position: u64,
    },
    /// Delete the oldest closed segment within the range.
    DropOldest {
        /// Everything below may be in flight.
        from: u64,
        /// Everything from here on stays.
        to: u64,
    },
    /// Look for a message, one record at a time between other commands. A later search ends the one under way.
    Find {
        /// The search.
        search: Search,
        /// Where its outcome goes; nothing more is looked at once the other end is gone.
        answer: oneshot::Sender<Searched>,
    },
    /// Something for the named cursors.
    Named(NamedCommand),
    /// Look whether the files still have their names.
    Check,
    /// Close the files and end the thread.
    Close,
}

/// What the thread reports. Each command is answered once; appends together, by the commit that covers them.
#[derive(Debug)]
pub enum StorageEvent {
    /// Everything appended below `tail` is durable.
    Committed {
        /// The position behind the last durable frame.
        tail: u64,
        /// What the store takes now.
        usage: Usage,
    },
    /// The answer to a read.
    ReadDone {
        /// The batches, and what had to be passed over.
        found: Found,
        /// What the store takes now.
        usage: Usage,
    },
    /// The cursor is durable.
    Settled {
        /// The position.
        position: u64,
        /// What the store takes now.
        usage: Usage,
    },
    /// The answer to `DropOldest`.
    OldestDropped {
        /// The positions that are gone; none when no segment qualified.
        range: Option<Range<u64>>,
        /// What the store takes now.
        usage: Usage,
    },
    /// The answer to something for the named cursors.
    Named {
        /// What was done.
        event: NamedEvent,
        /// What the store takes now.
        usage: Usage,
    },
    /// Something failed. After a failed write nothing since the last `Committed` is acknowledged.
    Failed {
        /// Which command.
        what: Failure,
        /// Why.
        error: SpillError,
    },
    /// The answer to `Check`.
    Checked {
        /// See [`Storage::deleted_frames`].
        deleted_frames: u64,
    },
    /// The files are closed; the last event. What was committed is safe even with an error.
    Closed {
        /// See [`Storage::deleted_frames`]: gone for good.
        deleted_frames: u64,
        /// Why the newest segment could not be closed in order.
        error: Option<SpillError>,
    },
}

/// Which kind of command failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Append or commit: call `Fifo::write_failed`.
    Write,
    /// Read: call `Fifo::read_failed`.
    Read,
    /// The cursor could not be made durable: it lags, and is tried again later.
    Cursor,
    /// A segment could not be deleted: call `Fifo::drop_failed`.
    Drop,
}

/// What the names of these threads begin with: a panic there is contained or ends the store, and is told as an error.
pub const THREAD_PREFIX: &str = "spill-";

/// The handle on the thread `spill-NAME`.
#[derive(Debug)]
pub struct SpillThread {
    commands: Sender<StorageCommand>,
    handle: JoinHandle<()>,
    named: Vec<files::Recovered>,
    streams: Streams,
    stream: Option<StreamId>,
    usage: Usage,
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
                let known = (storage.named().to_vec(), storage.streams().clone(), storage.stream());
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
        let (recovered, (named, streams, stream), usage) = wait.recv().unwrap_or_else(|_| {
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
        };
        Ok((thread, recovered))
    }

    /// The named cursors as they were found when the store was opened.
    pub fn named(&self) -> &[files::Recovered] {
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

struct Worker<R> {
    storage: Storage,
    report: R,
    commit_bytes: u64,
    commit_delay: Duration,
    /// When the first of what has gathered came.
    since: Instant,
    /// Payload bytes appended since the last commit.
    gathered: u64,
    generation: u64,
    /// The generation whose appends are ignored.
    failed: Option<u64>,
    looking: Option<Looking>,
}

/// A search under way.
struct Looking {
    search: Search,
    answer: oneshot::Sender<Searched>,
    glass: Glass,
}

impl<R: Fn(StorageEvent)> Worker<R> {
    fn new(storage: Storage, commit_delay: Duration, report: R) -> Self {
        Self {
            commit_bytes: storage.commit_bytes(),
            storage,
            report,
            commit_delay,
            since: Instant::now(),
            gathered: 0,
            generation: 0,
            failed: None,
            looking: None,
        }
    }

    /// Until told to close, or until nobody can tell any more: commits when enough has gathered, or has waited for long enough.
    fn run(&mut self, inbox: &Receiver<StorageCommand>) {
        loop {
            self.look();
            let command = match self.next(inbox) {
                Ok(command) => command,
                Err(RecvTimeoutError::Timeout) => {
                    if self.since.elapsed() >= self.commit_delay {
                        self.commit();
                    }
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return self.commit(),
            };
            if !self.carry_out(command) {
                return self.commit();
            }
            if self.gathered >= self.commit_bytes {
                self.commit();
            }
        }
    }

    /// The next command; `Timeout` when a commit is due first.
    fn next(&self, inbox: &Receiver<StorageCommand>) -> Result<StorageCommand, RecvTimeoutError> {
        if self.looking.is_some() {
            // What is queued comes between two looks of the search.
            return inbox.recv_timeout(Duration::ZERO);
        }
        if self.gathered == 0 {
            return inbox.recv().map_err(|_| RecvTimeoutError::Disconnected);
        }
        // A zero timeout still takes what is queued already.
        inbox.recv_timeout(self.commit_delay.saturating_sub(self.since.elapsed()))
    }

    fn carry_out(&mut self, command: StorageCommand) -> bool {
        match command {
            StorageCommand::Append { generation, batches } => self.append(generation, &batches),
            StorageCommand::Read { from, to, bytes } => {
                let event = match self.storage.read(from, to, bytes) {
                    Ok(found) => StorageEvent::ReadDone {
                        found,
                        usage: self.storage.usage(),
                    },
                    Err(error) => failed(Failure::Read, error),
                };
                (self.report)(event);
            }
            StorageCommand::Settle { position } => {
                let event = match self.storage.settle(position) {
                    Ok(()) => StorageEvent::Settled {
                        position,
                        usage: self.storage.usage(),
                    },
                    Err(error) => failed(Failure::Cursor, error),
                };
                (self.report)(event);
            }
            StorageCommand::DropOldest { from, to } => {
                let event = match self.storage.drop_oldest_segment(from..to) {
                    Ok(range) => StorageEvent::OldestDropped {
                        range,
                        usage: self.storage.usage(),
                    },
                    Err(error) => failed(Failure::Drop, error),
                };
                (self.report)(event);
            }
            StorageCommand::Find { search, answer } => {
                self.end_look();
                self.looking = Some(Looking {
                    search,
                    answer,
                    glass: Glass::default(),
                });
            }
            StorageCommand::Named(command) => {
                let event = named::carry_out(&mut self.storage, command);
                let usage = self.storage.usage();
                (self.report)(StorageEvent::Named { event, usage });
            }
            StorageCommand::Check => {
                let deleted_frames = self.storage.deleted_frames();
                (self.report)(StorageEvent::Checked { deleted_frames });
            }
            StorageCommand::Close => return false,
        }
        true
    }

    /// One look of the search under way.
    fn look(&mut self) {
        let Some(looking) = &mut self.looking else { return };
        let over = looking.answer.is_closed() || Instant::now() >= looking.search.query().deadline;
        match looking.search.next().filter(|_| !over) {
            Some(at) => looking.search.take(&self.storage.peek(at, &mut looking.glass)),
            None => self.end_look(),
        }
    }

    fn end_look(&mut self) {
        if let Some(mut looking) = self.looking.take() {
            looking.glass.close();
            // Whoever asked may have stopped waiting.
            let _ = looking.answer.send(looking.search.end());
        }
    }

    fn append(&mut self, generation: u64, batches: &[(u64, Batch)]) {
        if self.failed == Some(generation) {
            return;
        }
        self.generation = generation;
        for (position, batch) in batches {
            if let Err(error) = self.storage.append(*position, batch) {
                return self.fail(error);
            }
            if self.gathered == 0 {
                self.since = Instant::now();
            }
            // Frames may be empty, and must be committed all the same.
            self.gathered += (batch.payload.len() + batch.len()) as u64;
            if self.gathered >= self.commit_bytes {
                self.commit();
                if self.failed == Some(generation) {
                    return;
                }
            }
        }
    }

    fn commit(&mut self) {
        if self.gathered == 0 {
            return;
        }
        match self.storage.commit() {
            Ok(tail) => {
                self.gathered = 0;
                (self.report)(StorageEvent::Committed {
                    tail,
                    usage: self.storage.usage(),
                });
            }
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: SpillError) {
        self.gathered = 0;
        self.failed = Some(self.generation);
        (self.report)(failed(Failure::Write, error));
    }

    fn close(mut self) {
        self.end_look();
        let deleted_frames = self.storage.deleted_frames();
        let error = self.storage.close().err();
        (self.report)(StorageEvent::Closed { deleted_frames, error });
    }
}

fn failed(what: Failure, error: SpillError) -> StorageEvent {
    StorageEvent::Failed { what, error }
}
