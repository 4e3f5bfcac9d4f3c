//! Why a connection ended, in one word.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How far a cause can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sureness {
    /// Something else explains what was seen as well.
    Unsure,
    /// What was seen points to it.
    Likely,
    /// It was seen.
    Certain,
}

/// The causes. [`Cause::advice`] says what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The peer closed because we, our thread or a processor, read too slowly.
    SlowReader,
    /// The peer closed because the pipeline took nothing: a store was full, a destination away or slow.
    BlockedPipeline,
    /// The peer closed with replies of ours unread, which makes its kernel send an RST.
    RepliesUnread,
    /// The peer finished, at a frame's end.
    PeerFinished,
    /// The peer ended in the middle of a frame.
    CutOff,
    /// The peer reset the connection, for a reason that cannot be seen from here.
    PeerReset,
    /// The peer broke off, and nobody listens at its address any more.
    PeerCrashed,
    /// The peer finished, and nobody listens at its address any more.
    PeerStopped,
    /// The peer is back after it was away, or its kernel does not know the connection any more.
    PeerRestarted,
    /// The peer closed after a time of silence.
    IdleTimeout,
    /// The peer does not answer any more, and never said goodbye.
    HalfOpen,
    /// Nobody listens at the address.
    Refused,
    /// No way to the address, or no answer from it.
    Unreachable,
    /// The peer accepted and closed at once.
    TurnedAway,
    /// The destination read nothing any more, then the connection ended.
    StoppedReading,
    /// We closed after a time of silence (`idle_timeout`).
    OwnIdleTimeout,
    /// We closed because the stream cannot be read, or a bound was passed.
    OwnRefusal,
    /// We closed because the peer's application did not answer, or not as it should (`acknowledge = "reply"`, a link).
    Unanswered,
    /// We closed because frames that the peer sent are lost, and it waits for our reply to them (`reply.when`).
    OwnLoss,
    /// We closed because the pipeline ended.
    OwnEnd,
}

impl Cause {
    /// What to do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::SlowReader => {
                "Put a spill store behind the source, so that reading never waits for work; `aqueduct status` shows which actor is slow"
            }
            Self::BlockedPipeline => {
                "Look after the actor that took nothing; a spill store in front of it, with room for the outage, keeps the source flowing"
            }
            Self::RepliesUnread => {
                "The peer does not read what `reply` sends. Its RST destroys what was still under way: leave `reply` out if it needs none"
            }
            Self::PeerFinished | Self::OwnEnd => "Nothing to do",
            Self::CutOff => "Look into the peer's log: it crashed, was killed, or ends without a last delimiter",
            Self::PeerReset => "Look into the peer's log, and into those of firewalls on the way",
            Self::PeerCrashed | Self::PeerStopped => "Start the peer again; it is dialled until it answers",
            Self::PeerRestarted => "Nothing to do here; the peer's log says why it restarted",
            Self::IdleTimeout => "Harmless if silence is normal; else raise the peer's idle timeout",
            Self::HalfOpen => "Look at the peer's machine and at the network between",
            Self::Refused => "Start the peer, or correct the address",
            Self::Unreachable => "Correct the address, or look at the network and its firewalls",
            Self::TurnedAway => "The peer takes no more clients, or not this one: look into its log",
            Self::StoppedReading => "Look at the destination: it is overloaded, hangs, or stopped reading on purpose",
            Self::OwnIdleTimeout => "Raise `idle_timeout` if such silences are normal",
            Self::Unanswered => {
                "Look into the destination's log for what it did with these frames; compare the sink's `reply` with what it answers (a sink `link` needs a source `link` there)"
            }
            Self::OwnLoss => {
                "The peer has to send again what has no reply; the log and `aqueduct status` say which actor lost frames. A dead letter (`NAME.rejected -> ...`) keeps those that are rejected, and counts as taken"
            }
            Self::OwnRefusal => {
                "Compare `framing` and its limits with what the peer really sends (a source `link` takes sinks `link` alone)"
            }
        }
    }

    /// Whether it needs somebody's attention.
    pub fn is_trouble(self) -> bool {
        !matches!(
            self,
            Self::PeerFinished | Self::OwnEnd | Self::OwnIdleTimeout | Self::IdleTimeout | Self::PeerRestarted
        )
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The names that serde gives them, so that words and JSON agree.
        self.serialize(f)
    }
}

impl fmt::Display for Sureness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
