//! Bugs on purpose, so that the harness under `tests/hostile` can show that it would find them.
//!
//! They exist only with the feature `seeded-bugs`, which no build but that of the tests turns on: without it every question here is
//! answered `false` by the compiler. With it, the environment variable `AQUEDUCT_SEEDED_BUG` names the one bug that the process
//! has, so that also the real program can be run with it.

/// A bug that somebody could have made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// An idle receiver restores its window, and tells nobody.
    LostDemand,
    /// Grants are added up, though they are totals.
    GrantCountedTwice,
    /// What was sent above the demand is not paid back.
    OverdraftForgiven,
    /// A receipt settles with the first of its parts.
    ReceiptSettledEarly,
    /// A receipt settles with the last fate, not with the worst.
    LastFateCounts,
    /// Batches of an epoch that has ended are delivered.
    OldEpochDelivered,
    /// An epoch begins before the last one has come back.
    EpochTooEarly,
    /// After a drop what was delivered behind it is handed down again.
    HandedDownTwice,
    /// A receipt leaves a store at the batch's arrival, not at its commit.
    AcknowledgedAtArrival,
    /// What a failed write held is not written again.
    WriteNotRepeated,
    /// What is in memory overtakes what is on disk.
    MemoryBeforeDisk,
    /// Order is restored up to one place.
    ReorderOffByOne,
    /// A new connection begins behind the frame that the last one broke off in.
    ResumeBehindFrame,
    /// A new connection begins where the last one broke off, inside a frame.
    ResumeInsideFrame,
    /// A frame that a reset cut off is passed on.
    PartialFramePassedOn,
    /// A delimiter that two reads share is not seen.
    SplitDelimiterMissed,
    /// The wait between two attempts grows without end.
    BackoffWithoutCap,
    /// Stores are told to close while sources still read.
    StoresClosedFirst,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::LostDemand,
        Self::GrantCountedTwice,
        Self::OverdraftForgiven,
        Self::ReceiptSettledEarly,
        Self::LastFateCounts,
        Self::OldEpochDelivered,
        Self::EpochTooEarly,
        Self::HandedDownTwice,
        Self::AcknowledgedAtArrival,
        Self::WriteNotRepeated,
        Self::MemoryBeforeDisk,
        Self::ReorderOffByOne,
        Self::ResumeBehindFrame,
        Self::ResumeInsideFrame,
        Self::PartialFramePassedOn,
        Self::SplitDelimiterMissed,
        Self::BackoffWithoutCap,
        Self::StoresClosedFirst,
    ];
}

/// True when this process has the bug.
#[cfg(feature = "seeded-bugs")]
pub fn has(bug: Bug) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<Bug>> = std::sync::OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let name = std::env::var("AQUEDUCT_SEEDED_BUG").ok()?;
        Bug::ALL.into_iter().find(|bug| format!("{bug:?}") == name)
    }) == Some(bug)
}

/// True when this process has the bug: never, without the feature `seeded-bugs`.
#[cfg(not(feature = "seeded-bugs"))]
pub const fn has(_: Bug) -> bool {
    false
}
