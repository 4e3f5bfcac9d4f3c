//! How a connection that was read ended: counted, and said in one line.

use std::fmt;
use std::io;
use std::time::Duration;

use aqueduct_framework::error::Error;
use aqueduct_framework::plugin::Context;

use crate::net::{advice, is_reset};

#[derive(Debug)]
pub(in crate::sources) enum End {
    /// The peer's FIN.
    Closed,
    /// A reset or another error of the connection. Everything that had arrived before was read.
    Failed(io::Error),
    /// The framing gave up, or a bound was passed.
    Refused(Error),
    /// Nothing came for this long.
    Idle(Duration),
    /// The pipeline ends.
    Stopping,
}

impl End {
    /// True when it needs somebody's attention.
    pub(in crate::sources) fn is_trouble(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::Refused(_))
    }

    pub(super) fn count(&self, context: &Context) {
        context.counter("disconnects").add(1);
        match self {
            Self::Failed(error) if is_reset(error) => context.counter("resets").add(1),
            Self::Refused(_) => context.counter("refused_streams").add(1),
            Self::Idle(_) => context.counter("idle_closes").add(1),
            _ => {}
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the peer closed the connection"),
            Self::Failed(error) if is_reset(error) => write!(
                f,
                "the peer reset the connection ({error}); all that had arrived was read. Peers do this when they cannot \
                 send on, or leave replies unread: longest_gap_us and unread_bytes_peak in `status` tell whether we were slow"
            ),
            Self::Failed(error) => write!(f, "the connection failed ({error}): {}", advice(error)),
            Self::Refused(error) => write!(f, "closed on our side: {error}"),
            Self::Idle(limit) => write!(
                f,
                "closed on our side: nothing came for {} (idle_timeout)",
                humantime::format_duration(*limit)
            ),
            Self::Stopping => f.write_str("closed on our side: the pipeline ends"),
        }
    }
}
