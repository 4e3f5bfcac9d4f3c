//! What a spill store is told: its bounds and its promises.

use std::path::PathBuf;
use std::time::Duration;

use crate::units::FileMode;

/// What happens when a store has reached `max_bytes`, or its disk is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// Nothing more is granted upstream until there is room.
    #[default]
    Block,
    /// What arrives is dropped and counted.
    DropNewest,
    /// The oldest whole segment with nothing in flight is dropped, and its frames counted.
    DropOldest,
}

/// When the upstream receipt of a batch is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Persist {
    /// When it is settled downstream or committed, whichever is first. A crash loses what was in memory only.
    #[default]
    Overflow,
    /// At the commit; only then is it handed down. A crash loses nothing that was acknowledged.
    Always,
}

/// How long frames are kept for named cursors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Past so many allocated bytes the oldest segment goes, whoever has not read it.
    pub bytes: u64,
    /// Past this age it goes too, give or take a quarter.
    pub age: Option<Duration>,
    /// The most cursors there may be.
    pub max_cursors: u64,
}

/// The settings of one spill store. Every bound of it is here.
#[derive(Debug, Clone)]
pub struct SpillOptions {
    /// Where its files are; created when missing.
    pub directory: PathBuf,
    /// Memory for batches, as their cost in demand. What waits for the writer comes on top, at most twice `commit_bytes`.
    pub memory_bytes: u64,
    /// The longest an unsettled batch stays in memory only.
    pub memory_age: Duration,
    /// The most its segments take on disk, in allocated bytes.
    pub max_bytes: u64,
    /// What happens then.
    pub when_full: WhenFull,
    /// When an upstream receipt is settled.
    pub persist: Persist,
    /// A segment is closed once it takes this many bytes.
    pub segment_bytes: u64,
    /// The most one commit gathers, in payload bytes.
    pub commit_bytes: u64,
    /// How long a commit waits for more to gather: larger records and fewer fsyncs, against a later receipt.
    pub commit_delay: Duration,
    /// The most that is handed down and not settled, as cost in demand (one batch more when it is the only one).
    pub in_flight_bytes: u64,
    /// The most that is read from disk ahead of demand, in payload bytes (one record more).
    pub read_ahead_bytes: u64,
    /// The most that is kept of damaged segments; the oldest go first. One is always kept.
    pub quarantine_bytes: u64,
    /// The permissions of files it makes; who may read them may enter its folders. Its `lock` is its owner's alone.
    pub mode: FileMode,
    /// Who uses it, in a line: the pipeline and the actor. Empty for tools.
    pub owner: String,
    /// The store is read by named cursors and hands nothing down; needs [`Persist::Always`].
    pub retention: Option<Retention>,
}

impl SpillOptions {
    /// A store in `directory` with the defaults: 8 MiB in memory for at most 5 s, 10 GiB on disk.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        const MIB: u64 = 1 << 20;
        Self {
            directory: directory.into(),
            memory_bytes: 8 * MIB,
            memory_age: Duration::from_secs(5),
            max_bytes: 10_240 * MIB,
            when_full: WhenFull::default(),
            persist: Persist::default(),
            segment_bytes: 256 * MIB,
            commit_bytes: 4 * MIB,
            commit_delay: Duration::from_millis(50),
            in_flight_bytes: 4 * MIB,
            read_ahead_bytes: 4 * MIB,
            quarantine_bytes: 1024 * MIB,
            mode: FileMode::default(),
            owner: String::new(),
            retention: None,
        }
    }
}
