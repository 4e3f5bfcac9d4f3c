//! Bugs on purpose, so that the harness under `tests/nothing_lost` can show that it would find them.
//!
//! They exist only with the feature `seeded-bugs`, which no build but that of the harness turns on: without it every question here is
//! answered `false` by the compiler, and what hangs on it is no part of the program. With it, the environment variable
//! `AQUEDUCT_SEEDED_BUG` names the one bug that the process has, so that also the real program can be run with it.
//!
//! A new one is a name with its sentence here, and one line with [`has`] where the mistake would be made.

macro_rules! bugs {
    ($($(#[$sentence:meta])* $bug:ident,)*) => {
        /// A bug that somebody could have made.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Bug {
            $($(#[$sentence])* $bug,)*
        }

        impl Bug {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$bug),*];
        }
    };
}

bugs! {
    // Demand and receipts.
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

    // What a store decides.
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

    // A store's files.
    /// A commit is reported without the engine having been told to make it durable.
    AcknowledgeBeforeFsync,
    /// The file of a new segment gets its name, the folder is not synced.
    SkipFolderFsync,
    /// A segment that could not be written is written on.
    GoOnAfterFailedWrite,
    /// The last segment goes without how far the streams are being kept elsewhere.
    ForgetStreamsWithSegment,
    /// The cursor is written, its file not synced.
    SkipCursorFsync,
    /// The cursor is one frame ahead of what is settled.
    CursorOneAhead,
    /// Both slots of the cursor are one: a torn write leaves none.
    CursorInOneSlot,
    /// A start believes what a commit wrote that failed.
    UnsureTailBelieved,
    /// A start believes what a killed process had not synced, and does not sync it.
    FoundNotSynced,
    /// After a sync that failed the next one is believed.
    SecondSyncBelieved,
    /// Positions that are given twice are called what they were called before.
    NameOutlivesEnd,
    /// The one bit is believed that says which of a segment's two commits is the last.
    LastCommitNotDoubted,
    /// A cursor that the disk does not give is taken for a new one, and overwritten.
    UnreadCursorIsZero,
    /// A segment of which a read has failed is not opened anew.
    FailedReaderKept,
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
    /// A segment that was given up is read while its file is there.
    GivenUpStillRead,
    /// A damaged segment is passed over, and nobody told.
    PassOverDamage,
    /// A damaged segment ends the reading.
    StopAtDamage,
    /// Segments without a commit are taken for segments at the start.
    KeepUnfinishedSegments,
    /// When the segment being written turns out damaged, nobody is told that what it held back must be written again.
    ForgetUndone,

    // Named cursors.
    /// A cursor is made durable where its client reads, not where it has settled.
    CursorMadeDurableWhereItReads,
    /// What the quickest cursor has settled is deleted, not what the slowest has.
    QuickestCursorReleases,
    /// What a cursor has settled is deleted before that is durable.
    ReleasedBeforeDurable,
    /// A new cursor's file gets its name, the folder is not synced.
    SkipCursorsFolderSync,
    /// A forgotten cursor's file goes, the folder is not synced.
    SkipForgottenFolderSync,
    /// What retention took from a cursor that is away is not counted.
    RetentionNotCounted,
    /// What retention took while a cursor read is not counted.
    GapNotCounted,
    /// What a cursor was moved past is counted again when it is closed.
    PassedCountedTwice,
    /// A start does not count what retention took from a cursor before.
    PassedForgottenAtStart,
    /// A cursor that was closed goes on behind what it had read.
    ReopenBehindRead,
    /// A cursor whose file is damaged stands at the end.
    DamagedCursorAtEnd,

    // Processors and framing.
    /// Order is restored up to one place.
    ReorderOffByOne,
    /// A frame that a reset cut off is passed on.
    PartialFramePassedOn,
    /// A delimiter that two reads share is not seen.
    SplitDelimiterMissed,

    // Senders.
    /// A new connection begins behind the frame that the last one broke off in.
    ResumeBehindFrame,
    /// A new connection begins where the last one broke off, inside a frame.
    ResumeInsideFrame,
    /// Of the frames that were not acknowledged the first one of a batch is not sent again.
    ResendOneTooFew,
    /// A batch counts as delivered when its first byte is acknowledged.
    SettledByPart,
    /// Batches that were not acknowledged are sent again in the wrong order.
    ResendTurned,
    /// `resend_bytes` is not heeded.
    ResendBytesForgotten,
    /// What one connection acknowledged counts for the next one too.
    AcknowledgedCarriedOver,
    /// A batch that was resumed counts from its first byte when it is resumed again.
    ResumedAsWhole,
    /// The wait between two attempts grows without end.
    BackoffWithoutCap,

    // Answers, and what is given up.
    /// An answer settles the next group too.
    AnswerSettlesTwo,
    /// An answer that does not match the pattern counts.
    WrongAnswerCounts,
    /// An answer that was not due is not noticed.
    AnswerNotDueIgnored,
    /// One frame more than the window may be unanswered.
    WindowOneMore,
    /// What is written counts as answered.
    WrittenIsAnswered,
    /// A frame that is given up leaves no dead letter.
    GivenUpWithoutLetter,

    // Links.
    /// What a link's sender sends again is taken again.
    LinkTakesRepeats,
    /// A link acknowledges what has come, not what is durable.
    LinkAcknowledgesArrival,
    /// A new connection of a link leaves out one frame more than the receiver has.
    LinkSkipsOneMore,

    // Shutdown.
    /// Stores are told to close while sources still read.
    StoresClosedFirst,
}

/// True when this process has the bug.
#[cfg(feature = "seeded-bugs")]
pub fn has(bug: Bug) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<Bug>> = std::sync::OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let name = std::env::var("AQUEDUCT_SEEDED_BUG").ok()?;
        Bug::ALL.iter().copied().find(|bug| format!("{bug:?}") == name)
    }) == Some(bug)
}

/// True when this process has the bug: never, without the feature `seeded-bugs`.
#[cfg(not(feature = "seeded-bugs"))]
pub const fn has(_: Bug) -> bool {
    false
}
