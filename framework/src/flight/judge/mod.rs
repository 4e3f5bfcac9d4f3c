//! The judge: a pure function from a connection's history and its end to a verdict.
//!
//! What is seen is told as it was seen; what is concluded carries a [`Sureness`]. Where two causes look alike from our end of
//! the wire, the milder one is named and the other stands in the evidence.

mod reading;
mod writing;

use serde::{Deserialize, Serialize};

use super::{Blame, Cause, Errno, Event, Ours, Recorder, Sureness};

/// A silence from which on a close looks like an idle timeout.
const SILENCE_MS: u64 = 5_000;

/// A connection that brought nothing and ended this soon was turned away.
const TURNED_AWAY_MS: u64 = 1_000;

/// Which way the bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// We read: a source.
    Reading,
    /// We write: a sink.
    Writing,
}

/// What the judge is told besides the history and the event.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// How the peer is called in the sentence.
    pub who: &'a str,
    /// Which way the bytes go.
    pub side: Side,
    /// Whether we dialled: only a peer that accepts can turn somebody away.
    pub dialled: bool,
    /// When the end was noticed, in milliseconds since the connection began.
    pub now_ms: u64,
    /// The length of the silence after which this peer, or another of the same actor, closed the last time.
    pub silence_before_ms: Option<u64>,
}

/// What the judge found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Why it ended.
    pub cause: Cause,
    /// How sure that is.
    pub sureness: Sureness,
    /// It all in one sentence.
    pub sentence: String,
    /// What speaks for the cause, and what else it could be.
    pub evidence: Vec<String>,
    /// What to do, where more can be said than of every such cause.
    #[serde(default)]
    pub advice: Option<String>,
}

impl Verdict {
    pub(super) fn new(cause: Cause, sureness: Sureness, sentence: impl Into<String>) -> Self {
        Self {
            cause,
            sureness,
            sentence: sentence.into(),
            evidence: Vec::new(),
            advice: None,
        }
    }

    fn advising(mut self, blame: Option<&Blame>) -> Self {
        self.advice = blame.and_then(Blame::advice);
        self
    }

    pub(super) fn with(mut self, evidence: impl Into<String>) -> Self {
        self.evidence.push(evidence.into());
        self
    }

    fn with_if(self, so: bool, evidence: impl FnOnce() -> String) -> Self {
        if so { self.with(evidence()) } else { self }
    }
}

/// Judges the end of a connection.
pub fn judge(recorder: &Recorder, event: &Event, case: &Case<'_>) -> Verdict {
    let verdict = match event {
        Event::Ours(ours) => our_own(ours, case),
        Event::Stalled => reading::full(recorder, case),
        Event::Failed { errno, .. } if errno.is_silence() => vanished(recorder, errno, case),
        _ if case.side == Side::Reading => reading::judge(recorder, event, case),
        _ => writing::judge(recorder, event, case),
    };
    let (again, unconfirmed) = (recorder.retransmits(), recorder.unconfirmed());
    verdict
        .with_if(again > 0, || {
            format!("{again} segments were sent again: packets were lost, or the window was closed")
        })
        .with_if(unconfirmed > 0, || {
            format!(
                "up to {} were acknowledged by its kernel and not confirmed to be read; what of it comes again is for `acknowledge` to say",
                size(unconfirmed)
            )
        })
}

fn our_own(ours: &Ours, case: &Case<'_>) -> Verdict {
    let who = case.who;
    match ours {
        Ours::Idle { limit_ms } => Verdict::new(
            Cause::OwnIdleTimeout,
            Sureness::Certain,
            format!(
                "closed on our side: {who} sent nothing for {} (idle_timeout)",
                time(*limit_ms)
            ),
        ),
        Ours::Refused { reason } => Verdict::new(
            Cause::OwnRefusal,
            Sureness::Certain,
            format!("closed on our side: what {who} sends cannot be taken: {reason}"),
        ),
        Ours::Unanswered { reason } => Verdict::new(
            Cause::Unanswered,
            Sureness::Certain,
            format!("closed on our side: {who} {reason}"),
        ),
        Ours::Lost { reason } => Verdict::new(
            Cause::OwnLoss,
            Sureness::Certain,
            format!("closed on our side: {who} gets no reply to {reason}"),
        ),
        Ours::Stopping => Verdict::new(
            Cause::OwnEnd,
            Sureness::Certain,
            "closed on our side: the pipeline ends",
        ),
    }
}

/// Nobody answered: neither our data nor our keepalive probes.
fn vanished(recorder: &Recorder, errno: &Errno, case: &Case<'_>) -> Verdict {
    let silence = time(recorder.silence_ms(case.now_ms));
    let sentence = match case.side {
        Side::Reading => format!(
            "{} vanished without a goodbye ({errno}): nothing came for {silence}, and its machine did not answer our keepalive probes",
            case.who
        ),
        Side::Writing => format!(
            "{} vanished without a goodbye ({errno}): its machine answers neither bytes of ours, the last {silence} ago, nor keepalive probes",
            case.who
        ),
    };
    Verdict::new(Cause::HalfOpen, Sureness::Certain, sentence)
        .with("a crashed machine, a cut cable and a firewall that forgot the connection look the same from here")
}

/// A close after a silence, if it is one that looks like a timeout.
fn idle(recorder: &Recorder, verb: &str, case: &Case<'_>) -> Option<Verdict> {
    let silence = recorder.silence_ms(case.now_ms);
    let same = case
        .silence_before_ms
        .filter(|before| silence >= 1_000 && silence.abs_diff(*before) <= before / 20);
    if same.is_none() && silence < SILENCE_MS {
        return None;
    }
    let from = match case.side {
        Side::Reading => "it had sent",
        Side::Writing => "we had sent",
    };
    let sentence = format!(
        "{} {verb} after {} in which {from} nothing: an idle timeout of its own",
        case.who,
        time(silence)
    );
    let sureness = if same.is_some() {
        Sureness::Certain
    } else {
        Sureness::Likely
    };
    let verdict = Verdict::new(Cause::IdleTimeout, sureness, sentence);
    Some(match same {
        Some(before) => verdict.with(format!(
            "the connection before ended after {} of silence too",
            time(before)
        )),
        None => verdict
            .with("it could also have been finished after a pause; an equal silence next time would make it sure"),
    })
}

/// True when the peer had accepted our connection, and ended it at once when it had brought nothing.
fn turned_away(recorder: &Recorder, case: &Case<'_>) -> bool {
    case.dialled && recorder.bytes == 0 && case.now_ms < TURNED_AWAY_MS
}

/// `510 ms`, `3.2 s`, `2 min 5 s`.
pub(super) fn time(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        60_000..3_600_000 => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
        _ => format!("{} h {} min", ms / 3_600_000, ms % 3_600_000 / 60_000),
    }
}

/// `4.1 MB`, with decimal units as network people use them.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{}.{} kB", bytes / 1_000, bytes % 1_000 / 100),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}
