//! Bugs that the harness under `tests/nothing_lost` puts in on purpose, to show that it would notice them. They exist only
//! with the feature `seeded-bugs`, which no build but that test's turns on; without it every question here is answered `false` by the compiler.

/// Which bug a store has: none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bugs(#[cfg(feature = "seeded-bugs")] Option<Bug>);

/// A bug that could have been made in this module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A commit is reported without the engine having been told to make it durable.
    AcknowledgeBeforeFsync,
    /// The file of a new segment gets its name, the folder is not synced.
    SkipFolderFsync,
    /// A segment that could not be written is written on.
    GoOnAfterFailedWrite,
    /// The cursor is written, its file not synced.
    SkipCursorFsync,
    /// The cursor is one frame ahead of what is settled.
    CursorOneAhead,
    /// Both slots of the cursor are one: a torn write leaves none.
    CursorInOneSlot,
    /// Segments are read in the wrong order.
    NewestSegmentFirst,
    /// A start reads from the cursor's segment, not from the cursor.
    RepeatSegmentAtStart,
    /// The checksum of a record is not looked at.
    SkipCrc,
    /// A segment goes although its last frame is not settled.
    DeleteUnsettledSegment,
    /// The batch that comes when a segment is full is forgotten.
    LoseBatchAtRollover,
    /// The records of a segment that is full are committed after it was closed.
    TailWithoutLastRecord,
    /// A damaged segment is passed over, and nobody told.
    PassOverDamage,
    /// A damaged segment ends the reading.
    StopAtDamage,
    /// Segments without a commit are taken for segments at the start.
    KeepUnfinishedSegments,
    /// When the segment being written turns out damaged, nobody is told that what it held back must be written again.
    ForgetUndone,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::AcknowledgeBeforeFsync,
        Self::SkipFolderFsync,
        Self::GoOnAfterFailedWrite,
        Self::SkipCursorFsync,
        Self::CursorOneAhead,
        Self::CursorInOneSlot,
        Self::NewestSegmentFirst,
        Self::RepeatSegmentAtStart,
        Self::SkipCrc,
        Self::DeleteUnsettledSegment,
        Self::LoseBatchAtRollover,
        Self::TailWithoutLastRecord,
        Self::PassOverDamage,
        Self::StopAtDamage,
        Self::KeepUnfinishedSegments,
        Self::ForgetUndone,
    ];
}

impl Bugs {
    /// A store with this bug.
    #[cfg(feature = "seeded-bugs")]
    pub const fn only(bug: Bug) -> Self {
        Self(Some(bug))
    }

    /// True when the store has it.
    #[cfg(feature = "seeded-bugs")]
    pub(super) fn has(self, bug: Bug) -> bool {
        self.0 == Some(bug)
    }

    #[cfg(not(feature = "seeded-bugs"))]
    pub(super) const fn has(self, _: Bug) -> bool {
        false
    }
}
