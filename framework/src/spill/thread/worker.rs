//! The work of the thread: one command after the other, commits when enough has gathered, and a search in between.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::named;
use super::{Failure, StorageCommand, StorageEvent};
use crate::batch::Batch;
use crate::spill::search::{Search, Searched};
use crate::spill::{Glass, SpillError, Storage, Usage};

/// What runs on the thread.
pub(super) struct Worker<R> {
    storage: Storage,
    report: R,
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
    pub(super) fn new(storage: Storage, commit_delay: Duration, report: R) -> Self {
        Self {
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
    pub(super) fn run(&mut self, inbox: &Receiver<StorageCommand>) {
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
            if self.gathered >= self.storage.commit_bytes() {
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
                let found = self.storage.read(from, to, bytes);
                self.answer(Failure::Read, found, |found, usage| StorageEvent::ReadDone {
                    found,
                    usage,
                });
            }
            StorageCommand::Settle { position } => {
                let settled = self.storage.settle(position);
                self.answer(Failure::Cursor, settled, |(), usage| StorageEvent::Settled {
                    position,
                    usage,
                });
            }
            StorageCommand::DropOldest { from, to } => {
                let range = self.storage.drop_oldest_segment(from..to);
                self.answer(Failure::Drop, range, |range, usage| StorageEvent::OldestDropped {
                    range,
                    usage,
                });
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
                let free_bytes = self.storage.free_bytes();
                (self.report)(StorageEvent::Checked {
                    deleted_frames,
                    free_bytes,
                });
            }
            StorageCommand::Close => return false,
        }
        true
    }

    fn answer<T>(&self, what: Failure, done: Result<T, SpillError>, event: impl FnOnce(T, Usage) -> StorageEvent) {
        (self.report)(match done {
            Ok(done) => event(done, self.storage.usage()),
            Err(error) => failed(what, error),
        });
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
            if self.gathered >= self.storage.commit_bytes() {
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

    pub(super) fn close(mut self) {
        self.end_look();
        let deleted_frames = self.storage.deleted_frames();
        let error = self.storage.close().err();
        (self.report)(StorageEvent::Closed { deleted_frames, error });
    }
}

fn failed(what: Failure, error: SpillError) -> StorageEvent {
    StorageEvent::Failed { what, error }
}
