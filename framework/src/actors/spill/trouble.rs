//! What keeps a store from its disk, and what it does about it, in words: for `status`, the log, and reports about connections.
//!
//! Up to the first `;` a state says what is, short enough to stand in another sentence; behind it stands what follows from it.

use std::time::Instant;

use crate::config::{SpillConfig, WhenFull};
use crate::flight::Repeats;
use crate::plugin::Context;
use crate::spill::SpillError;
use crate::spill::fifo::{Mode, State};
use crate::spill::thread::Failure;
use crate::telemetry::Counter;

pub(super) struct Trouble {
    context: Context,
    when_full: WhenFull,
    /// Everything is written, for readers that come when they come.
    retaining: bool,
    /// It was mounted read-only when the store was opened.
    read_only: bool,
    failures: Counter,
    /// Why nothing can be written, until something is.
    write: Option<String>,
    /// Why nothing can be read, until something is.
    read: Option<String>,
    /// The log has said that nothing can be written, so it says when that is over.
    told: bool,
    repeats: Repeats<&'static str>,
    since: Instant,
}

impl Trouble {
    pub(super) fn new(context: &Context, config: &SpillConfig, read_only: bool) -> Self {
        Self {
            context: context.clone(),
            when_full: config.when_full,
            retaining: config.retain_bytes.is_some(),
            read_only,
            failures: context.counter("storage_failures"),
            write: None,
            read: None,
            told: false,
            repeats: Repeats::default(),
            since: Instant::now(),
        }
    }

    /// Something could not be done, and will be tried again. The log says it whenever the number of its kind doubles: a full disk fails often.
    pub(super) fn failed(&mut self, what: Failure, error: &SpillError) {
        let kind = match what {
            Failure::Write => {
                self.write = Some(self.cannot_write(error));
                "write"
            }
            Failure::Read => {
                self.read = Some(format!(
                    "its disk cannot be read; what waits there is tried again every second and nothing behind it is delivered meanwhile ({error})"
                ));
                "read"
            }
            Failure::Cursor => "cursor",
            Failure::Drop => "drop",
        };
        let said = self.say(kind, error);
        self.told |= said && what == Failure::Write;
    }

    /// The files could not be closed in order.
    pub(super) fn failed_to_close(&mut self, error: &SpillError) {
        self.say("close", error);
    }

    /// Something was written.
    pub(super) fn wrote(&mut self) {
        if self.write.take().is_some() && std::mem::take(&mut self.told) {
            tracing::info!(actor = %self.context.actor, "the store can write to its disk again");
        }
    }

    /// Something was read.
    pub(super) fn read(&mut self) {
        if self.read.take().is_some() {
            tracing::info!(actor = %self.context.actor, "the store can read its disk again");
        }
    }

    /// What the store does now.
    pub(super) fn state(&self, state: &State) -> &str {
        if state.mode == Mode::Draining {
            return "ending";
        }
        // Where nothing has to be written any more, nobody knows whether it could be.
        let write = self.write.as_ref().filter(|_| state.mode != Mode::Memory);
        if let Some(trouble) = self.read.as_ref().or(write) {
            return trouble;
        }
        if self.read_only {
            return "its file system is read-only; what is stored is delivered, and again after the next start";
        }
        match (state.mode, self.when_full) {
            (Mode::Memory, _) if state.waiting_frames > 0 && state.memory_bytes == 0 => {
                "all that is on disk has been handed down; what arrives is kept in memory"
            }
            (Mode::Memory, _) => "in memory",
            (Mode::Spilling, _) if state.waiting_frames == 0 => "empty",
            (Mode::Spilling, _) if self.retaining => "keeps frames for its cursors",
            (Mode::Spilling, _) => "writing to disk",
            _ if !state.full => "its disk is slower than what arrives; nothing more is taken until memory is written",
            (_, WhenFull::DropNewest) => {
                "full up to max_bytes; what arrives is dropped until something has been delivered"
            }
            (_, WhenFull::DropOldest) => "full up to max_bytes; the oldest is deleted to take what arrives",
            (_, WhenFull::Block) => "full up to max_bytes; nothing more is taken until something has been delivered",
        }
    }

    fn cannot_write(&self, error: &SpillError) -> String {
        if self.read_only {
            return format!(
                "its file system is read-only; what is stored is delivered, and nothing that arrives is acknowledged until it is mounted writable and the pipeline is started again ({error})"
            );
        }
        let Some(full) = error.what_is_full() else {
            return format!("its disk fails; nothing is acknowledged until it can be written again ({error})");
        };
        let then = match self.when_full {
            WhenFull::Block => "nothing more is taken once memory is full",
            WhenFull::DropNewest => "what arrives is dropped once memory is full",
            WhenFull::DropOldest if error.is_file_limit() => "a new file is begun for what arrives",
            WhenFull::DropOldest => "the oldest is deleted to take what arrives",
        };
        format!("{full}; what is stored is delivered, and {then} until there is room ({error})")
    }

    fn say(&mut self, kind: &'static str, error: &SpillError) -> bool {
        self.failures.add(1);
        let now_ms = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let heard = self.repeats.note(now_ms, kind);
        if heard.aloud() {
            tracing::error!(actor = %self.context.actor, "the store could not use its disk: {error}; nothing unsure was acknowledged{heard}");
        }
        heard.aloud()
    }
}
