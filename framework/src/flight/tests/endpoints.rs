use crate::flight::{Cause, Endpoint, Errno, Sureness, Verdict};

fn ended(cause: Cause) -> Verdict {
    Verdict {
        cause,
        sureness: Sureness::Certain,
        sentence: "it ended".into(),
        evidence: Vec::new(),
        advice: None,
    }
}

fn refused() -> Errno {
    Errno("ECONNREFUSED".into())
}

fn refusal_after(before: Option<(Cause, u64)>) -> Cause {
    let mut endpoint = Endpoint::default();
    if let Some((cause, at_ms)) = before {
        endpoint.closed(at_ms, 10, &ended(cause));
    }
    let verdict = endpoint.failed(100_000, "peer", "host:1", &refused());
    verdict.expect("the first of an outage is told").cause
}

#[test]
fn a_refusal_is_judged_by_what_went_before() {
    for (name, before, expected) in [
        ("nothing", None, Cause::Refused),
        ("cut off just now", Some((Cause::CutOff, 99_000)), Cause::PeerCrashed),
        ("reset just now", Some((Cause::PeerReset, 99_000)), Cause::PeerCrashed),
        (
            "finished just now",
            Some((Cause::PeerFinished, 99_000)),
            Cause::PeerStopped,
        ),
        ("cut off long ago", Some((Cause::CutOff, 10_000)), Cause::Refused),
        ("refused by us", Some((Cause::OwnRefusal, 99_000)), Cause::Refused),
    ] {
        assert_eq!(refusal_after(before), expected, "{name}");
    }
}

#[test]
fn an_outage_is_told_once_and_a_refusal_after_silence_again() {
    let mut endpoint = Endpoint::default();
    let mut told = |errno: &str| {
        let verdict = endpoint.failed(0, "peer", "host:1", &Errno(errno.into()));
        verdict.map(|verdict| verdict.cause)
    };
    assert_eq!(told("ETIMEDOUT"), Some(Cause::Unreachable));
    assert_eq!(told("ETIMEDOUT"), None);
    assert_eq!(told("ECONNREFUSED"), Some(Cause::Refused));
    assert_eq!(told("ECONNREFUSED"), None);
}

#[test]
fn a_peer_that_was_there_before_and_comes_back_was_restarted_and_a_late_one_was_not() {
    let mut late = Endpoint::default();
    late.failed(0, "peer", "host:1", &refused());
    assert_eq!(late.connected(3_000, "peer"), None);

    let mut back = Endpoint::default();
    assert_eq!(back.connected(0, "peer"), None);
    back.closed(10, 0, &ended(Cause::CutOff));
    back.failed(20, "peer", "host:1", &refused());
    back.failed(30, "peer", "host:1", &refused());
    let verdict = back.connected(2_020, "peer").expect("it is back");
    assert_eq!(verdict.cause, Cause::PeerRestarted);
    assert!(
        verdict.sentence.contains("after 2.0 s, in which it refused 2 of 2"),
        "{}",
        verdict.sentence
    );

    back.closed(3_000, 0, &ended(Cause::PeerFinished));
    assert_eq!(back.connected(3_100, "peer"), None, "it never refused");
}
