//! The keys the framework takes from an actor's table, per role. What is left over belongs to the plugin.

use std::num::NonZeroU16;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{ByteSize, FileMode, Period};

/// What an actor grants upstream when its file says nothing: the range of 1 to 2 MiB is where throughput levels off.
const WINDOW: ByteSize = ByteSize::mib(2);

/// The framework's own settings of one actor.
#[derive(Debug, Clone, PartialEq)]
pub enum HostConfig {
    /// Of a source.
    Source(SourceHost),
    /// Of a spill store.
    Spill(SpillConfig),
    /// Of a processor.
    Processor(ProcessorHost),
    /// Of a sink.
    Sink(SinkHost),
}

impl HostConfig {
    /// The bytes this actor grants upstream in all; 0 for a source, which has nobody upstream.
    pub fn window_bytes(&self) -> u64 {
        match self {
            Self::Source(_) => 0,
            Self::Spill(spill) => spill.window_bytes.bytes(),
            Self::Processor(processor) => processor.window_bytes.bytes(),
            Self::Sink(sink) => sink.window_bytes.bytes(),
        }
    }
}

/// The JSON schema of the framework's own keys for a role, besides `type` and `framing`.
pub fn host_schema(role: super::Role) -> serde_json::Value {
    let schema = match role {
        super::Role::Source => schemars::schema_for!(SourceHost),
        super::Role::Spill => schemars::schema_for!(SpillConfig),
        super::Role::Processor => schemars::schema_for!(ProcessorHost),
        super::Role::Sink => schemars::schema_for!(SinkHost),
    };
    schema.to_value()
}

/// The framework's keys in `[sources.NAME]`, besides `type` and `framing`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SourceHost {
    /// Bytes that unfinished frames may hold, over all connections of this source.
    #[schemars(range(min = 1))]
    pub partial_bytes: ByteSize,
    /// What happens to a frame of which a connection or file ended in the middle, such as a last line without its newline. Of a framing with lengths
    /// there is nothing to keep: what had come of it is counted as `truncated_bytes`, as after a reset.
    pub on_partial: OnPartial,
}

impl Default for SourceHost {
    fn default() -> Self {
        Self {
            partial_bytes: ByteSize::mib(64),
            on_partial: OnPartial::default(),
        }
    }
}

/// What a source does with a frame that is not whole at the regular end of its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnPartial {
    /// It goes on as a frame, with the attribute `partial = "true"`.
    #[default]
    Keep,
    /// It is left out, and counted as `partial_frames`.
    Drop,
    /// It is left out, told, and counted as rejected and lost, so that the exit code is 3. A source has no output for dead letters: to see such frames, `keep` them.
    Reject,
}

/// The framework's keys in `[processors.NAME]`, besides `type`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProcessorHost {
    /// Bytes of batches that may wait for or be in this processor.
    #[schemars(range(min = 4096))]
    pub window_bytes: ByteSize,
    /// How many batches are worked on at once, each on a thread of its own. The output keeps the order of the input.
    #[schemars(range(max = 1_024))]
    pub workers: NonZeroU16,
    /// Whether it runs away from the thread that reads and sends. Unset: only when the plugin does not call itself cheap.
    pub own_thread: Option<bool>,
}

impl Default for ProcessorHost {
    fn default() -> Self {
        Self {
            window_bytes: WINDOW,
            workers: NonZeroU16::MIN,
            own_thread: None,
        }
    }
}

/// The framework's keys in `[sinks.NAME]`, besides `type` and `framing`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SinkHost {
    /// Bytes of batches that may wait for or be in this sink; with `acknowledge = "kernel"` and `"reply"` also of those not acknowledged yet.
    #[schemars(range(min = 4096))]
    pub window_bytes: ByteSize,
    /// How long it waits before it tries again what has failed.
    pub retry: RetryConfig,
    /// How long it may go on delivering at shutdown. Unset: until `[shutdown] deadline`.
    pub drain_deadline: Option<Period>,
}

impl Default for SinkHost {
    fn default() -> Self {
        Self {
            window_bytes: WINDOW,
            retry: RetryConfig::default(),
            drain_deadline: None,
        }
    }
}

/// Exponential backoff: `first`, then `multiplier` times as long after every failure, up to `max`. What it means is decided by [`Backoff`](crate::backoff::Backoff).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetryConfig {
    /// The wait after the first failure.
    #[schemars(extend("minimum" = 1))]
    pub first: Period,
    /// The longest wait.
    #[schemars(extend("minimum" = 1))]
    pub max: Period,
    /// What the wait is multiplied by after every failure.
    #[schemars(range(min = 1.0, max = 100.0))]
    pub multiplier: f64,
    /// The share of a wait that is drawn at random, 0 to 1, so that clients do not return all at once.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub jitter: f64,
    /// Of a sink: once nothing was delivered for this long, because every attempt failed, each further failed attempt makes dead letters of what
    /// it was about: of the frames that an answer refused, or of one batch. Unset: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub give_up_after: Option<Period>,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            first: Period::milliseconds(100),
            max: Period::seconds(30),
            multiplier: 2.0,
            jitter: 0.5,
            give_up_after: None,
        }
    }
}

/// `[spills.NAME]`: a durable FIFO between two actors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpillConfig {
    /// The folder of its segments, relative to the pipeline file; absolute once loaded. Never shared.
    pub directory: PathBuf,
    /// Bytes it grants upstream.
    #[serde(default = "window")]
    #[schemars(range(min = 4096))]
    pub window_bytes: ByteSize,
    /// Unsettled bytes it keeps in memory only; past it, everything unsettled goes to disk.
    #[serde(default = "memory_bytes")]
    #[schemars(range(min = 4096))]
    pub memory_bytes: ByteSize,
    /// Age of the oldest unsettled batch in memory past which everything unsettled goes to disk.
    #[serde(default = "memory_age")]
    pub memory_age: Period,
    /// Bytes on disk, counted in allocated blocks, with what the storage engine adds. What `window_bytes` had granted may still
    /// come on top, and so do `quarantine_bytes` and a reserve of 256 KiB.
    #[serde(default = "max_bytes")]
    #[schemars(range(min = 1_048_576))]
    pub max_bytes: ByteSize,
    /// What happens once `max_bytes` are on disk, or the disk takes no more: `block` takes nothing more, so a source that will not wait closes;
    /// `drop_newest` drops what arrives, `drop_oldest` the oldest whole segment of which nothing is in flight. What is dropped is counted, and the
    /// exit code is 3.
    #[serde(default)]
    pub when_full: WhenFull,
    /// What goes to disk: `overflow` what memory does not hold, so a kill loses what is in memory; `always` everything, before it is handed down, so
    /// a kill loses nothing that was acknowledged, and while the disk takes nothing only what is on it is delivered.
    #[serde(default)]
    pub persist: Persist,
    /// Bytes after which a segment file is closed and a new one begun.
    #[serde(default = "segment_bytes")]
    #[schemars(range(min = 1_048_576))]
    pub segment_bytes: ByteSize,
    /// Bytes that one commit takes at most.
    #[serde(default = "commit_bytes")]
    #[schemars(range(min = 4096))]
    pub commit_bytes: ByteSize,
    /// How long a commit waits for more to gather. Unset: 50 ms with `persist = "overflow"`, 2 ms with `"always"`.
    #[serde(default)]
    pub commit_delay: Option<Period>,
    /// Bytes that are sent downstream and not settled yet.
    #[serde(default = "in_flight_bytes")]
    #[schemars(range(min = 4096))]
    pub in_flight_bytes: ByteSize,
    /// Bytes read from disk ahead of the demand for them.
    #[serde(default = "window")]
    #[schemars(range(min = 4096))]
    pub read_ahead_bytes: ByteSize,
    /// Bytes kept of damaged segments in the folder `quarantine`; the oldest are deleted first, and one is always kept.
    #[serde(default = "quarantine_bytes")]
    pub quarantine_bytes: ByteSize,
    /// Permissions of the files it makes, octal as in `"0640"`; its folders may be entered by whoever may read. Files that are there keep theirs, and
    /// its `lock` is always its owner's alone.
    #[serde(default)]
    pub mode: FileMode,
    /// For a store whose clients have cursors of their own, and needed there: bytes on disk past which the oldest segment is deleted, whoever has not
    /// read it. At most `max_bytes`. Segments are a quarter of it at most. Such a store never waits for a slow client; when its disk itself is full,
    /// `when_full = "block"` takes nothing more until there is room, `"drop_oldest"` deletes the oldest segments.
    #[serde(default)]
    #[schemars(range(min = 1_048_576))]
    pub retain_bytes: Option<ByteSize>,
    /// The same by age: a segment is deleted when its newest frame is older, so frames may stay a quarter longer. Only the time counts during which the
    /// store is in use, whatever the system's clock says. Unset: none is too old.
    #[serde(default)]
    pub retain_age: Option<Period>,
    /// The most cursors it keeps; another client is refused until one is forgotten with `aqueduct spill DIRECTORY forget NAME`.
    #[serde(default = "max_cursors")]
    #[schemars(range(min = 1, max = 500))]
    pub max_cursors: u32,
}

impl SpillConfig {
    /// The defaults, with segments in `directory`.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            window_bytes: window(),
            memory_bytes: memory_bytes(),
            memory_age: memory_age(),
            max_bytes: max_bytes(),
            when_full: WhenFull::default(),
            persist: Persist::default(),
            segment_bytes: segment_bytes(),
            commit_bytes: commit_bytes(),
            commit_delay: None,
            in_flight_bytes: in_flight_bytes(),
            read_ahead_bytes: window(),
            quarantine_bytes: quarantine_bytes(),
            mode: FileMode::default(),
            retain_bytes: None,
            retain_age: None,
            max_cursors: max_cursors(),
        }
    }
}

/// What a spill store does with a new batch when its disk share is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// Grants no more demand: the sources stop reading. One that will not wait closes.
    #[default]
    Block,
    /// Drops the new batch, and counts it.
    DropNewest,
    /// Drops the oldest whole segment of which nothing is in flight, and counts it.
    DropOldest,
}

/// What a spill store writes to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Persist {
    /// Only what overflows the memory; a kill loses what was in memory.
    #[default]
    Overflow,
    /// Every batch, before its receipt goes upstream.
    Always,
}

const fn window() -> ByteSize {
    WINDOW
}

const fn memory_bytes() -> ByteSize {
    ByteSize::mib(8)
}

const fn memory_age() -> Period {
    Period::seconds(5)
}

const fn max_bytes() -> ByteSize {
    ByteSize::gib(10)
}

const fn segment_bytes() -> ByteSize {
    ByteSize::mib(256)
}

const fn commit_bytes() -> ByteSize {
    ByteSize::mib(4)
}

const fn quarantine_bytes() -> ByteSize {
    ByteSize::gib(1)
}

/// Each has a file that stays open.
const fn max_cursors() -> u32 {
    100
}

fn in_flight_bytes() -> ByteSize {
    ByteSize::mib(128)
}
