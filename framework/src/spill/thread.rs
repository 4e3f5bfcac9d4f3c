//! The thread that owns a store's files: redb blocks, and nothing that blocks runs on a data Arbiter.

use std::ops::Range;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use crate::batch::Batch;
use crate::spill::{Recovered, SpillError, SpillOptions, Storage, Usage};

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
        /// Batches with their positions; their payload shares the record's bytes, their receipt is none.
        batches: Vec<(u64, Batch)>,
        /// Everything from where the read began up to here is covered.
        next: u64,
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
    /// Something failed. After a failed write nothing since the last `Committed` is acknowledged.
    Failed {
        /// Which command.
        what: Failure,
        /// Why.
        error: SpillError,
    },
    /// The files are closed; the last event.
    Closed,
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
}

/// The handle on the thread `spill-NAME`.
#[derive(Debug)]
pub struct SpillThread {
    commands: Sender<StorageCommand>,
    handle: JoinHandle<()>,
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
        let (_storage, recovered) = Storage::open(options)?;
        let (commands, inbox) = channel();
        let handle = std::thread::Builder::new()
            .name(format!("spill-{name}"))
            .spawn(move || run(&inbox, &report))
            .map_err(|_| todo!())?;
        Ok((Self { commands, handle }, recovered))
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

fn run(_inbox: &Receiver<StorageCommand>, report: &dyn Fn(StorageEvent)) {
    report(StorageEvent::Closed);
}
