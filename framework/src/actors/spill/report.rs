//! What a store tells of itself: gauges, losses, and changes in words.

use std::path::Path;

use super::trouble::Trouble;
use crate::config::SpillConfig;
use crate::plugin::Context;
use crate::spill::fifo::{Dropped, Mode, State};
use crate::spill::{Persist, Recovered, SpillOptions, Usage};
use crate::telemetry::{Counter, Gauge};
use crate::units::{ByteSize, Period};

/// The reason that is told upstream by the receipts.
const ABANDONED: &str = "in memory when writing had to be given up";

/// What somebody must know of a store before it goes on.
pub(super) fn opened(context: &Context, options: &SpillOptions, found: Recovered, left_behind: Option<&Path>) {
    let actor = &context.actor;
    let directory = options.directory.display();
    if found.killed {
        match options.persist {
            Persist::Overflow => tracing::warn!(
                %actor,
                "the last run did not end in order: with persist = \"overflow\" what it held in memory only is lost, at most memory_bytes = {}, unless it was delivered",
                ByteSize(options.memory_bytes)
            ),
            Persist::Always => tracing::warn!(
                %actor,
                "the last run did not end in order: what was acknowledged is on disk, what was read and not committed yet is lost unless it is sent again"
            ),
        }
    }
    if found.end_missing > 0 {
        tracing::error!(
            %actor,
            "{} frames are missing at the end of the store in {directory}: they were there when the last run ended, and count as lost when their turn comes",
            found.end_missing
        );
    }
    if found.read_only {
        tracing::error!(
            %actor,
            "the file system of {directory} is read-only: what is stored there ({} frames) is delivered, but not noted as delivered, so it comes again after the next start; what arrives cannot be stored. Mount it writable and start again",
            found.frames
        );
    }
    if !found.clock_back.is_zero() {
        tracing::warn!(
            %actor,
            "the system's clock stands {} before where it stood when this store was used last: nothing is deleted because of it, and new frames carry earlier times than those before; look at the clock's battery and its time server",
            Period::seconds(found.clock_back.as_secs())
        );
    }
    if let Some(other) = left_behind {
        tracing::warn!(
            %actor,
            "the store in {} was used by this actor before and still has frames, which this run does not deliver: set `directory` back to it, or remove it",
            other.display()
        );
    }
}

pub(super) struct Report {
    context: Context,
    spilling: Gauge,
    waiting_frames: Gauge,
    peak_frames: Gauge,
    memory_bytes: Gauge,
    peak_memory_bytes: Gauge,
    disk_bytes: Gauge,
    peak_disk_bytes: Gauge,
    in_flight_bytes: Gauge,
    repeated: Gauge,
    losses: [Counter; 4],
    dropped: Dropped,
    state: String,
    pub(super) trouble: Trouble,
    directory: String,
    damaged: Gauge,
    ends_lost: Gauge,
    quarantine_deleted: Gauge,
    quarantine_unusable: Gauge,
    deleted_frames: Gauge,
    /// What went with its files at the end.
    gone: u64,
    /// Everything is written, for readers that come when they come: that is no sign of pressure.
    retaining: bool,
}

impl Report {
    pub(super) fn new(context: &Context, config: &SpillConfig, read_only: bool) -> Self {
        context.gauge("disk_max_bytes").set(config.max_bytes.bytes());
        context.say("directory", config.directory.display().to_string());
        Self {
            spilling: context.gauge("spilling"),
            waiting_frames: context.gauge("waiting_frames"),
            peak_frames: context.gauge("peak_frames"),
            memory_bytes: context.gauge("memory_bytes"),
            peak_memory_bytes: context.gauge("peak_memory_bytes"),
            disk_bytes: context.gauge("disk_bytes"),
            peak_disk_bytes: context.gauge("peak_disk_bytes"),
            in_flight_bytes: context.gauge("in_flight_bytes"),
            repeated: context.gauge("repeated"),
            losses: ["dropped_newest", "dropped_oldest", "unreadable", "abandoned"].map(|name| context.counter(name)),
            dropped: Dropped::default(),
            state: String::new(),
            trouble: Trouble::new(context, config, read_only),
            directory: config.directory.display().to_string(),
            damaged: context.gauge("damaged_segments"),
            ends_lost: context.gauge("ends_lost"),
            quarantine_deleted: context.gauge("quarantine_deleted"),
            deleted_frames: context.gauge("deleted_frames"),
            gone: 0,
            quarantine_unusable: context.gauge("quarantine_unusable"),
            retaining: config.retain_bytes.is_some(),
            context: context.clone(),
        }
    }

    pub(super) fn update(&mut self, state: &State) {
        self.waiting_frames.set(state.waiting_frames.saturating_sub(self.gone));
        self.peak_frames.set(state.peak_frames);
        self.memory_bytes.set(state.memory_bytes);
        self.peak_memory_bytes.set(state.peak_memory_bytes);
        self.disk_bytes.set(state.disk_bytes);
        self.peak_disk_bytes.set(state.peak_disk_bytes);
        self.in_flight_bytes.set(state.in_flight_bytes);
        self.repeated.set(state.repeated);
        self.count_losses(state.dropped);
        self.spilling.set(u64::from(
            state.mode == Mode::Spilling && state.backlog && !self.retaining,
        ));
        let now = self.trouble.state(state);
        if self.state != now {
            self.state = now.to_owned();
            self.context.say("state", now);
        }
    }

    /// Says when more damage was found, or when the quarantine was too small for it.
    pub(super) fn damage(&self, usage: Usage) {
        if usage.damaged > self.damaged.get() {
            tracing::error!(
                actor = %self.context.actor,
                segments = usage.damaged,
                "a segment is damaged: what can be read of it is delivered, the rest is described in {}/quarantine",
                self.directory
            );
        }
        if usage.ends_lost > self.ends_lost.get() {
            tracing::error!(
                actor = %self.context.actor,
                "an unknown number of frames is lost: the end of the newest segment cannot be read; {}/quarantine has what is known of it",
                self.directory
            );
        }
        if usage.quarantine_deleted > self.quarantine_deleted.get() {
            tracing::warn!(
                actor = %self.context.actor,
                files = usage.quarantine_deleted,
                "the quarantine was full: its oldest segments were deleted (quarantine_bytes)"
            );
        }
        if u64::from(usage.quarantine_unusable) > self.quarantine_unusable.get() {
            tracing::error!(
                actor = %self.context.actor,
                "nothing can be put into {0}/quarantine: damaged segments stay in {0} as NAME.redb.damaged; make it a folder that this process may write",
                self.directory
            );
        }
        self.quarantine_unusable.set(u64::from(usage.quarantine_unusable));
        self.damaged.set(usage.damaged);
        self.ends_lost.set(usage.ends_lost);
        self.quarantine_deleted.set(usage.quarantine_deleted);
    }

    /// Somebody has deleted files of so many frames that wait.
    pub(super) fn deleted(&self, frames: u64) {
        if frames > 0 && self.deleted_frames.get() == 0 {
            tracing::error!(
                actor = %self.context.actor,
                "files in {} were deleted while it is in use: {frames} frames that wait stood in them, and are lost unless they are in memory too and delivered before the end",
                self.directory
            );
        }
        self.deleted_frames.set(frames);
    }

    /// What room the disk has, which may be less than `max_bytes` leaves.
    pub(super) fn free(&self, bytes: Option<u64>) {
        if let Some(bytes) = bytes {
            self.context.gauge("disk_free_bytes").set(bytes);
        }
    }

    /// The end: what stood in deleted files and still waits does not wait for the next run.
    pub(super) fn closed(&mut self, deleted: u64) {
        self.gone = deleted.min(self.waiting_frames.get());
        self.deleted_frames.set(0);
        self.context.meters.lost.add(self.gone);
        if self.gone > 0 {
            tracing::error!(actor = %self.context.actor, "frames lost: {} went with the deleted files in {}", self.gone, self.directory);
        }
    }

    fn count_losses(&mut self, now: Dropped) {
        let before = std::mem::replace(&mut self.dropped, now);
        let reasons = [
            (
                now.newest - before.newest,
                "dropped on arrival, because the store is full (when_full = \"drop_newest\")",
            ),
            (
                now.oldest - before.oldest,
                "deleted unsent, because the store is full (when_full = \"drop_oldest\")",
            ),
            (
                now.unreadable - before.unreadable,
                "missing or unreadable on disk; `aqueduct spill DIRECTORY` tells what is in quarantine",
            ),
            (now.abandoned - before.abandoned, ABANDONED),
        ];
        for ((frames, reason), counter) in reasons.into_iter().zip(&self.losses) {
            if frames == 0 {
                continue;
            }
            counter.add(frames);
            // What was abandoned went back upstream as dropped: whoever cannot send it again counts it as lost.
            if reason != ABANDONED {
                self.context.meters.lost.add(frames);
            }
            if counter.get() == frames || counter.get().ilog2() > (counter.get() - frames).ilog2() {
                tracing::error!(actor = %self.context.actor, total = counter.get(), "frames lost: {reason}");
            }
        }
    }
}
