//! The self-test: the harness must catch every bug that `aqueduct_framework::seeded` can put in.
//!
//! Each bug is played in a process of its own, which is this program again with the bug's name in its environment; the real program
//! inherits it. The parts are asked one after another, the cheapest first but for [`likely`], until one fails: that one has
//! caught it.

use std::process::Command;

use aqueduct::framework::seeded::Bug;

use crate::run::Case;

/// Parts, and how many cases are enough for the bugs they can catch.
const ASKED: [(&str, u64); 20] = [
    ("interleavings_of_a_shutdown", 1),
    ("reads_that_fail", 1),
    ("starts_that_fail", 1),
    ("drops_that_fail", 6),
    ("starts_after_a_kill", 12),
    ("reopened_after_a_failure", 1),
    ("mutations_of_framing", 2_000),
    ("files_cut_or_replaced", 1),
    ("model", 200),
    ("simulation", 300),
    ("cursors_at_random", 60),
    ("network_answered", 12),
    ("names_of_stores_without_end", 1),
    ("flipped_bytes", 1),
    ("power", 1),
    ("interleavings_of_receipts", 1),
    ("network_acknowledged", 8),
    ("network_linked", 16),
    ("network", 36),
    ("faults", 1),
];

const PATIENCE: u64 = 5;

/// The part that is asked first, where it is known that all the cheaper ones do not catch the bug. It ends at the first failure,
/// so it is given [`PATIENCE`] times as many cases: another order of operations may not make a bug seem to go unseen.
const fn likely(bug: Bug) -> Option<&'static str> {
    Some(match bug {
        Bug::LastFateCounts => "interleavings_of_receipts",
        Bug::CursorInOneSlot => "faults",
        Bug::FailedReaderKept | Bug::GivenUpStillRead => "drops_that_fail",
        Bug::SecondSyncBelieved => "starts_after_a_kill",
        Bug::NameOutlivesEnd => "names_of_stores_without_end",
        Bug::PartialFramePassedOn => "network",
        Bug::LinkTakesRepeats | Bug::LinkAcknowledgesArrival | Bug::LinkSkipsOneMore => "network_linked",
        Bug::ResendOneTooFew
        | Bug::SettledByPart
        | Bug::ResendTurned
        | Bug::ResendBytesForgotten
        | Bug::AcknowledgedCarriedOver
        | Bug::ResumedAsWhole => "network_acknowledged",
        Bug::ForgetStreamsWithSegment => "power",
        Bug::SkipCursorFsync | Bug::RepeatSegmentAtStart | Bug::DeleteUnsettledSegment | Bug::FoundNotSynced => "power",
        Bug::SkipCrc | Bug::CursorOneAhead | Bug::LastCommitNotDoubted => "flipped_bytes",
        Bug::CursorMadeDurableWhereItReads
        | Bug::QuickestCursorReleases
        | Bug::ReleasedBeforeDurable
        | Bug::SkipCursorsFolderSync
        | Bug::SkipForgottenFolderSync
        | Bug::RetentionNotCounted
        | Bug::GapNotCounted
        | Bug::PassedCountedTwice
        | Bug::PassedForgottenAtStart
        | Bug::ReopenBehindRead
        | Bug::DamagedCursorAtEnd => "cursors_at_random",
        Bug::AnswerSettlesTwo
        | Bug::WrongAnswerCounts
        | Bug::AnswerNotDueIgnored
        | Bug::WindowOneMore
        | Bug::WrittenIsAnswered
        | Bug::GivenUpWithoutLetter => "network_answered",
        _ => return None,
    })
}

/// One without a bug, and one for each.
pub(crate) const CASES: u64 = 1 + Bug::ALL.len() as u64;

pub(crate) fn play(case: &mut Case) -> Result<(), String> {
    // The bug's own process.
    if std::env::var_os("AQUEDUCT_SEEDED_BUG").is_some() {
        return Ok(());
    }
    let Some(which) = case.seed.checked_sub(1) else {
        // A part that fails without a bug would seem to catch them all.
        return match caught(None) {
            Some((part, how)) => Err(format!("{part} fails without any bug on purpose: {how}")),
            None => Ok(()),
        };
    };
    let bug = Bug::ALL[which as usize];
    let Some((part, how)) = caught(Some(bug)) else {
        return Err(format!("{bug:?} is not caught"));
    };
    case.count("bugs caught", 1);
    case.note(format!(
        "{bug:?}: caught by {part}: {}",
        how.chars().take(120).collect::<String>()
    ));
    Ok(())
}

/// The part that fails, and its words.
fn caught(bug: Option<Bug>) -> Option<(&'static str, String)> {
    let likely = bug.and_then(likely);
    let mut asked = ASKED.to_vec();
    asked.sort_by_key(|(part, _)| Some(*part) != likely);
    asked.into_iter().find_map(|(part, cases)| {
        let patience = if Some(part) == likely { PATIENCE } else { 1 };
        Some((part, failure(bug, part, cases * patience)?))
    })
}

fn failure(bug: Option<Bug>, part: &str, cases: u64) -> Option<String> {
    let ended = Command::new(std::env::current_exe().expect("this test is a program"))
        .args(["--exact", part])
        .envs(bug.map(|bug| ("AQUEDUCT_SEEDED_BUG", format!("{bug:?}"))))
        .env("AQUEDUCT_CASES", cases.to_string())
        .env("AQUEDUCT_SEED", "1")
        .env("RUST_BACKTRACE", "0")
        .env_remove("AQUEDUCT_HOURS")
        .env_remove("AQUEDUCT_HARNESS")
        .output()
        .expect("it starts");
    if ended.status.success() {
        return None;
    }
    let told = String::from_utf8_lossy(&ended.stdout).into_owned();
    let failed = told.lines().find_map(|line| line.strip_prefix("FAILED "));
    Some(failed.map_or_else(|| format!("ended with {}", ended.status), str::to_owned))
}
