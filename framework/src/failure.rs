//! Why something has to be tried again, in one word: what `status` counts.

use std::fmt;
use std::io::{self, ErrorKind};

/// The reason of a failed attempt or of a lost connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// Nobody listens at the address (`ECONNREFUSED`).
    Refused,
    /// The peer broke the connection off (`ECONNRESET`, `EPIPE`, `ECONNABORTED`).
    Reset,
    /// The peer ended the connection (FIN).
    PeerClosed,
    /// No answer came from the peer's kernel (`ETIMEDOUT`), or `connect_timeout` passed.
    TimedOut,
    /// There is no way to the address (`EHOSTUNREACH`, `ENETUNREACH`).
    Unreachable,
    /// The name has no address, or could not be looked up.
    NameNotResolved,
    /// The peer's application owed an answer for too long.
    ReplyTimeout,
    /// The peer's application answered something else than what says that it has a frame.
    UnexpectedReply,
    /// Anything else.
    Other,
}

impl Failure {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Refused,
        Self::Reset,
        Self::PeerClosed,
        Self::TimedOut,
        Self::Unreachable,
        Self::NameNotResolved,
        Self::ReplyTimeout,
        Self::UnexpectedReply,
        Self::Other,
    ];

    /// What an error of the system means.
    pub fn of(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::Refused,
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => Self::Reset,
            ErrorKind::UnexpectedEof => Self::PeerClosed,
            ErrorKind::TimedOut => Self::TimedOut,
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Self::Unreachable,
            _ => Self::Other,
        }
    }

    /// The counter of an actor that counts these.
    pub fn counter(self) -> &'static str {
        match self {
            Self::Refused => "failures_refused",
            Self::Reset => "failures_reset",
            Self::PeerClosed => "failures_peer_closed",
            Self::TimedOut => "failures_timed_out",
            Self::Unreachable => "failures_unreachable",
            Self::NameNotResolved => "failures_name_not_resolved",
            Self::ReplyTimeout => "failures_reply_timeout",
            Self::UnexpectedReply => "failures_unexpected_reply",
            Self::Other => "failures_other",
        }
    }
}

/// As it is read in a sentence.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::PeerClosed => "closed by the peer",
            Self::TimedOut => "timed out",
            Self::Unreachable => "unreachable",
            Self::NameNotResolved => "name not resolved",
            Self::ReplyTimeout => "reply timeout",
            Self::UnexpectedReply => "unexpected reply",
            Self::Other => "other",
        })
    }
}
