//! What connects one connection with the next: an address that is dialled, or a port that is listened on.

use super::judge::{size, time};
use super::{Cause, Errno, Sureness, Verdict};

/// A close and a refusal within this time belong together.
const TOGETHER_MS: u64 = 60_000;

/// What an actor remembers of its peer. Times are milliseconds of any clock that does not go back.
#[derive(Debug, Clone, Default)]
pub struct Endpoint {
    closed: Option<Closed>,
    silence_ms: Option<u64>,
    away: Option<Away>,
}

#[derive(Debug, Clone)]
struct Closed {
    at_ms: u64,
    cause: Cause,
    sentence: String,
}

#[derive(Debug, Clone)]
struct Away {
    since_ms: u64,
    attempts: u64,
    refused: u64,
}

impl Endpoint {
    /// The silence after which the last connection was closed by an idle peer, for [`super::Case`].
    pub fn silence_before_ms(&self) -> Option<u64> {
        self.silence_ms
    }

    /// A connection ended so, after this silence.
    pub fn closed(&mut self, now_ms: u64, silence_ms: u64, verdict: &Verdict) {
        self.silence_ms = matches!(verdict.cause, Cause::IdleTimeout | Cause::PeerFinished).then_some(silence_ms);
        self.closed = Some(Closed {
            at_ms: now_ms,
            cause: verdict.cause,
            sentence: verdict.sentence.clone(),
        });
    }

    /// An attempt to connect failed. A verdict at the first of an outage; the others are counted.
    pub fn failed(&mut self, now_ms: u64, who: &str, address: &str, errno: &Errno) -> Option<Verdict> {
        let refused = errno.0 == "ECONNREFUSED";
        let away = self.away.get_or_insert(Away {
            since_ms: now_ms,
            attempts: 0,
            refused: 0,
        });
        away.attempts += 1;
        away.refused += u64::from(refused);
        if away.attempts > 1 && !(refused && away.refused == 1) {
            return None;
        }
        if errno.is_reset() {
            let sentence = format!("{who} accepted the connection at {address} and reset it at once ({errno})");
            return Some(Verdict::new(Cause::TurnedAway, Sureness::Certain, sentence));
        }
        if !refused {
            let sentence = format!("{who} cannot be reached at {address} ({errno})");
            return Some(Verdict::new(Cause::Unreachable, Sureness::Certain, sentence));
        }
        Some(self.refused(now_ms, who, address))
    }

    fn refused(&self, now_ms: u64, who: &str, address: &str) -> Verdict {
        let recent = self
            .closed
            .as_ref()
            .filter(|closed| now_ms.saturating_sub(closed.at_ms) <= TOGETHER_MS);
        let Some(closed) = recent else {
            let sentence = format!("{who} refused the connection: nobody listens at {address} (ECONNREFUSED)");
            return Verdict::new(Cause::Refused, Sureness::Certain, sentence);
        };
        let ago = time(now_ms.saturating_sub(closed.at_ms));
        let before = format!("{ago} before: {}", closed.sentence);
        match closed.cause {
            Cause::PeerFinished | Cause::IdleTimeout | Cause::OwnEnd | Cause::OwnIdleTimeout => Verdict::new(
                Cause::PeerStopped,
                Sureness::Likely,
                format!(
                    "{who} was stopped: its connection ended in order, and {ago} later nobody listens at {address} (ECONNREFUSED)"
                ),
            )
            .with("a process that is killed between two frames ends like this too"),
            Cause::OwnRefusal | Cause::Unanswered => Verdict::new(
                Cause::Refused,
                Sureness::Certain,
                format!("{who} refused the connection: nobody listens at {address} (ECONNREFUSED)"),
            ),
            _ => Verdict::new(
                Cause::PeerCrashed,
                Sureness::Likely,
                format!(
                    "{who} crashed, or was killed: its connection broke off, and {ago} later nobody listens at {address} (ECONNREFUSED)"
                ),
            ),
        }
        .with(before)
    }

    /// A connection came about. A verdict when the peer was away before.
    pub fn connected(&mut self, now_ms: u64, who: &str) -> Option<Verdict> {
        let away = self.away.take()?;
        let gone = time(now_ms.saturating_sub(away.since_ms));
        let closed = self.closed.take()?;
        if away.refused == 0 {
            return None;
        }
        let sentence = format!(
            "{who} was restarted: it is back after {gone}, in which it refused {} of {} attempts",
            away.refused, away.attempts
        );
        Some(
            Verdict::new(Cause::PeerRestarted, Sureness::Certain, sentence)
                .with(format!("before that: {}", closed.sentence)),
        )
    }
}

/// Evidence about the traffic of a connection.
pub(super) fn traffic(bytes: u64, age_ms: u64) -> String {
    format!("the connection lived for {} and carried {}", time(age_ms), size(bytes))
}
