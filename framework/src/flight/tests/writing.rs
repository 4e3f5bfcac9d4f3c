use super::{FIN, failed, verdict, visitor};
use crate::flight::{Cause, Recorder, Sample, Side};

/// 10 kB written every 10 ms for two seconds.
fn writing() -> Recorder {
    let mut recorder = Recorder::default();
    for at_ms in (10..=2_000).step_by(10) {
        recorder.wrote(at_ms, 10_000);
    }
    recorder
}

/// The same, and then the socket takes nothing for so long.
fn refused(for_ms: u64) -> Recorder {
    let mut recorder = writing();
    let full = Sample {
        waiting: 50_000,
        room: 50_000,
        ..Sample::default()
    };
    for at_ms in (2_100..=2_000 + for_ms).step_by(100) {
        recorder.waited(at_ms, 100);
        recorder.sample(at_ms, &full, None);
    }
    recorder
}

#[test]
fn each_cause_and_its_neighbour() {
    let reset = failed("ECONNRESET");
    let table = [
        ("reset while it reads", writing(), &reset, 2_010, Cause::PeerReset),
        (
            "stopped reading, then reset",
            refused(3_000),
            &reset,
            5_010,
            Cause::StoppedReading,
        ),
        (
            "stopped reading, then closed",
            refused(3_000),
            &FIN,
            5_010,
            Cause::StoppedReading,
        ),
        (
            "slow for a moment, then reset",
            refused(400),
            &reset,
            2_410,
            Cause::PeerReset,
        ),
        ("closed", writing(), &FIN, 2_010, Cause::PeerFinished),
        (
            "closed after a silence of ours",
            writing(),
            &FIN,
            32_000,
            Cause::IdleTimeout,
        ),
        (
            "no acknowledgement any more",
            refused(3_000),
            &failed("ETIMEDOUT"),
            900_000,
            Cause::HalfOpen,
        ),
        ("closed at once", Recorder::default(), &FIN, 20, Cause::TurnedAway),
        ("reset at once", Recorder::default(), &reset, 20, Cause::TurnedAway),
        (
            "never given anything, then closed",
            Recorder::default(),
            &FIN,
            3_000,
            Cause::PeerFinished,
        ),
    ];
    for (name, recorder, event, now_ms, expected) in table {
        let verdict = verdict(Side::Writing, &recorder, event, now_ms);
        assert_eq!(verdict.cause, expected, "{name}: {verdict:#?}");
    }
}

#[test]
fn a_destination_that_reads_again_had_not_stopped() {
    let mut recorder = refused(3_000);
    recorder.wrote(5_100, 10_000);
    let verdict = verdict(Side::Writing, &recorder, &failed("ECONNRESET"), 6_500);
    assert_eq!(verdict.cause, Cause::PeerReset, "{verdict:#?}");
}

#[test]
fn only_who_accepts_can_turn_us_away() {
    let finished = visitor(Side::Writing, &FIN);
    assert_eq!(finished.cause, Cause::PeerFinished, "{finished:#?}");
    assert!(
        finished.sentence.ends_with("before we sent anything"),
        "{}",
        finished.sentence
    );
    let reset = visitor(Side::Writing, &failed("ECONNRESET"));
    assert_eq!(reset.cause, Cause::PeerReset, "{reset:#?}");
}
