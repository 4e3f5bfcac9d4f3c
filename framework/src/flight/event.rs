//! How a connection ended, or why none came about.

use std::fmt;
use std::io;

use rustix::io::Errno as Code;
use serde::{Deserialize, Serialize};

/// A system error by its name, as errno(3) lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errno(pub String);

impl Errno {
    /// Whether the peer, or something on the way, broke the connection off.
    pub fn is_reset(&self) -> bool {
        ["ECONNRESET", "EPIPE", "ECONNABORTED", "ENOTCONN"].contains(&self.0.as_str())
    }

    /// Whether nobody answered any more.
    pub fn is_silence(&self) -> bool {
        ["ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH"].contains(&self.0.as_str())
    }
}

impl From<&io::Error> for Errno {
    fn from(error: &io::Error) -> Self {
        let name = match error.raw_os_error().map(Code::from_raw_os_error) {
            Some(Code::CONNRESET) => "ECONNRESET",
            Some(Code::PIPE) => "EPIPE",
            Some(Code::CONNABORTED) => "ECONNABORTED",
            Some(Code::NOTCONN) => "ENOTCONN",
            Some(Code::CONNREFUSED) => "ECONNREFUSED",
            Some(Code::TIMEDOUT) => "ETIMEDOUT",
            Some(Code::HOSTUNREACH) => "EHOSTUNREACH",
            Some(Code::NETUNREACH) => "ENETUNREACH",
            _ if error.kind() == io::ErrorKind::TimedOut => "ETIMEDOUT",
            _ => return Self(error.to_string()),
        };
        Self(name.to_owned())
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The peer's FIN.
    Finished {
        /// Bytes of a frame that was not complete.
        partial_bytes: u64,
    },
    /// A read or a write failed.
    Failed {
        /// With this.
        errno: Errno,
        /// Bytes of a frame that was not complete.
        partial_bytes: u64,
    },
    /// It lives, but our receive buffer has been full for a while: the peer cannot send. One that will not wait closes now, and as its FIN
    /// must wait behind its unsent bytes, this is all that is seen of it until we read.
    Stalled,
    /// We ended it.
    Ours(Ours),
}

/// Why we ended it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ours {
    /// Nothing came for this long, in milliseconds (`idle_timeout`).
    Idle {
        /// The limit.
        limit_ms: u64,
    },
    /// The framing could not follow, or a bound was passed.
    Refused {
        /// Why.
        reason: String,
    },
    /// Its application owed us an answer, or gave another than the one that counts (`acknowledge = "reply"`, a link).
    Unanswered {
        /// What it did, to be read behind its name.
        reason: String,
    },
    /// Frames that it sent are lost, and it waits for our reply to them.
    Lost {
        /// How many have no reply, and what became of them, to be read behind "no reply to".
        reason: String,
    },
    /// The pipeline ended.
    Stopping,
}
