//! Every cause next to the one it is most easily taken for.

use super::{FIN, FIN_IN_A_FRAME, blame, failed, healthy, held, unread, verdict, visitor};
use crate::flight::{Case, Cause, Event, Ours, Recorder, Sample, Side, Sureness, judge};

fn cause(recorder: &Recorder, event: &Event, now_ms: u64) -> Cause {
    verdict(Side::Reading, recorder, event, now_ms).cause
}

/// Replies of so many bytes; the peer's window ends `moved` bytes behind where it ended at first.
fn replied(mut recorder: Recorder, bytes: u64, moved: u64) -> Recorder {
    let window = |end| Sample {
        window_end: end,
        ..Sample::default()
    };
    recorder.sample(0, &window(65_536), None);
    recorder.replied(2_000, bytes);
    recorder.sample(2_000, &window(65_536 + moved), None);
    recorder
}

#[test]
fn each_cause_and_its_neighbour() {
    let reset = failed("ECONNRESET");
    let table = [
        (
            "blocked below",
            held(97, blame(false)),
            &reset,
            2_510,
            Cause::BlockedPipeline,
        ),
        (
            "slow work below",
            held(97, blame(true)),
            &reset,
            2_510,
            Cause::SlowReader,
        ),
        (
            "held, but the buffer had room",
            held(30, blame(false)),
            &reset,
            2_510,
            Cause::PeerReset,
        ),
        ("kept up", healthy(), &reset, 2_010, Cause::PeerReset),
        (
            "EPIPE of a reply is a reset too",
            healthy(),
            &failed("EPIPE"),
            2_010,
            Cause::PeerReset,
        ),
        ("finished", healthy(), &FIN, 2_010, Cause::PeerFinished),
        ("cut off", healthy(), &FIN_IN_A_FRAME, 2_010, Cause::CutOff),
        (
            "cut off behind a full buffer",
            held(97, blame(false)),
            &FIN_IN_A_FRAME,
            2_510,
            Cause::BlockedPipeline,
        ),
        (
            "a frame's end behind a full buffer",
            held(97, blame(false)),
            &FIN,
            2_510,
            Cause::PeerFinished,
        ),
        ("a short silence", healthy(), &FIN, 6_000, Cause::PeerFinished),
        ("a long silence", healthy(), &FIN, 32_000, Cause::IdleTimeout),
        (
            "a long silence within a frame",
            healthy(),
            &FIN_IN_A_FRAME,
            32_000,
            Cause::CutOff,
        ),
        (
            "a reset after a long silence",
            healthy(),
            &reset,
            32_000,
            Cause::PeerRestarted,
        ),
        (
            "no answer to keepalive",
            healthy(),
            &failed("ETIMEDOUT"),
            62_000,
            Cause::HalfOpen,
        ),
        (
            "no route any more",
            healthy(),
            &failed("EHOSTUNREACH"),
            62_000,
            Cause::HalfOpen,
        ),
        ("closed at once", Recorder::default(), &FIN, 20, Cause::TurnedAway),
        ("reset at once", Recorder::default(), &reset, 20, Cause::TurnedAway),
        (
            "closed without a byte, later",
            Recorder::default(),
            &FIN,
            3_000,
            Cause::PeerFinished,
        ),
        (
            "few replies, unread or not",
            replied(healthy(), 500, 500),
            &reset,
            2_010,
            Cause::RepliesUnread,
        ),
        (
            "many replies, all read",
            replied(healthy(), 1_000_000, 1_000_000),
            &reset,
            2_010,
            Cause::PeerReset,
        ),
        (
            "replies unread, and a full buffer",
            replied(held(97, blame(false)), 500, 0),
            &reset,
            2_510,
            Cause::BlockedPipeline,
        ),
    ];
    for (name, recorder, event, now_ms, expected) in table {
        let verdict = verdict(Side::Reading, &recorder, event, now_ms);
        assert_eq!(verdict.cause, expected, "{name}: {verdict:#?}");
    }
}

#[test]
fn what_we_did_is_certain() {
    for (ours, expected) in [
        (Ours::Idle { limit_ms: 500 }, Cause::OwnIdleTimeout),
        (
            Ours::Refused {
                reason: "too long".into(),
            },
            Cause::OwnRefusal,
        ),
        (Ours::Stopping, Cause::OwnEnd),
    ] {
        let verdict = verdict(Side::Reading, &held(97, blame(false)), &Event::Ours(ours), 2_510);
        assert_eq!((verdict.cause, verdict.sureness), (expected, Sureness::Certain));
    }
}

#[test]
fn the_sentence_tells_when_how_full_how_long_and_because_of_whom() {
    let verdict = verdict(Side::Reading, &held(97, blame(false)), &failed("ECONNRESET"), 2_512);
    assert_eq!(
        verdict.sentence,
        "peer closed (ECONNRESET) 412 ms after our unread bytes reached 97 % of the buffer; we had not read for 512 ms \
         because drain took nothing"
    );
}

#[test]
fn a_buffer_that_ran_dry_after_it_was_full_explains_nothing_any_more() {
    let mut recorder = held(97, blame(false));
    recorder.read(2_600, 97_000, 1, 500, 0);
    assert_eq!(
        cause(&recorder, &failed("ECONNRESET"), 2_610),
        Cause::BlockedPipeline,
        "it was never empty"
    );
    recorder.read(2_700, 1_000, 1, 0, 100);
    assert_eq!(cause(&recorder, &failed("ECONNRESET"), 2_710), Cause::PeerReset);
}

#[test]
fn a_wait_of_the_reader_itself_is_no_dry_socket() {
    let mut recorder = held(97, blame(false));
    // The bytes had waited for all the time in which the socket was not looked at.
    recorder.read(3_000, 97_000, 1, 900, 900);
    assert_eq!(cause(&recorder, &FIN_IN_A_FRAME, 3_010), Cause::BlockedPipeline);
}

#[test]
fn a_full_buffer_without_a_wait_for_demand_is_our_own_thread() {
    let mut recorder = healthy();
    recorder.sample(2_500, &unread(99_000, 100_000), None);
    recorder.read(2_500, 1_000, 1, 500, 0);
    let verdict = verdict(Side::Reading, &recorder, &failed("ECONNRESET"), 2_510);
    assert_eq!(verdict.cause, Cause::SlowReader);
    assert!(
        verdict.sentence.contains("our own thread was busy"),
        "{}",
        verdict.sentence
    );
}

#[test]
fn a_stall_of_more_than_a_minute_ago_is_forgotten_only_when_the_socket_ran_dry_since() {
    let mut recorder = held(97, blame(false));
    recorder.read(2_600, 97_000, 1, 500, 0);
    recorder.read(90_000, 10, 1, 0, 87_000);
    assert_eq!(cause(&recorder, &FIN_IN_A_FRAME, 90_010), Cause::CutOff);
}

#[test]
fn equal_silences_make_an_idle_timeout_sure_and_different_ones_do_not() {
    let case = |silence_before_ms| Case {
        who: "peer",
        side: Side::Reading,
        dialled: true,
        now_ms: 4_000,
        silence_before_ms,
    };
    let judged = |before| judge(&healthy(), &FIN, &case(before));
    assert_eq!(judged(None).cause, Cause::PeerFinished);
    assert_eq!(judged(Some(3_000)).cause, Cause::PeerFinished);
    let equal = judged(Some(2_020));
    assert_eq!((equal.cause, equal.sureness), (Cause::IdleTimeout, Sureness::Certain));
}

#[test]
fn a_stall_that_lasts_is_told_while_the_connection_lives() {
    let verdict = verdict(Side::Reading, &held(100, blame(false)), &Event::Stalled, 3_100);
    assert_eq!(verdict.cause, Cause::BlockedPipeline);
    assert!(verdict.sentence.starts_with("peer cannot send"), "{}", verdict.sentence);
}

#[test]
fn a_window_that_stands_still_makes_unread_replies_sure() {
    let still = replied(healthy(), 60_000, 0);
    let verdict = verdict(Side::Reading, &still, &failed("ECONNRESET"), 2_010);
    assert_eq!(
        (verdict.cause, verdict.sureness),
        (Cause::RepliesUnread, Sureness::Certain)
    );
}

#[test]
fn only_who_accepts_can_turn_us_away() {
    let finished = visitor(Side::Reading, &FIN);
    assert_eq!(finished.cause, Cause::PeerFinished, "{finished:#?}");
    assert!(
        finished.sentence.ends_with("before it sent anything"),
        "{}",
        finished.sentence
    );
    let reset = visitor(Side::Reading, &failed("ECONNRESET"));
    assert_eq!(reset.cause, Cause::PeerReset, "{reset:#?}");
}

#[test]
fn nobody_is_said_to_have_kept_up_whom_work_kept_from_reading() {
    let (reset, held) = (failed("ECONNRESET"), held(30, blame(true)));
    let reading = "30.0 kB of what it had sent stood unread, and we had not read for 500 ms because drain took nothing";
    let alone = verdict(Side::Reading, &held, &reset, 2_510);
    assert!(alone.sentence.ends_with(reading), "{}", alone.sentence);
    let mut with_replies = replied(held, 100, 0);
    with_replies.sample(2_500, &unread(30_000, 100_000), blame(true));
    let with_replies = verdict(Side::Reading, &with_replies, &reset, 2_510);
    assert_eq!(
        (with_replies.cause, with_replies.sureness),
        (Cause::RepliesUnread, Sureness::Likely)
    );
    assert!(
        with_replies.sentence.contains("drain took nothing"),
        "{}",
        with_replies.sentence
    );
}
