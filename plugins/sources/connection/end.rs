//! How a connection that was read ended: counted, and put into the words of the flight recorder.

use std::io;
use std::time::Duration;

use aqueduct_framework::error::Error;
use aqueduct_framework::failure::Failure;
use aqueduct_framework::flight::{Errno, Event, Ours};
use aqueduct_framework::plugin::Context;

use super::reply::{Loss, Why};
use crate::net::is_reset;

#[derive(Debug)]
pub(super) enum End {
    /// The peer's FIN.
    Closed,
    /// A reset or another error of the connection. Everything that had arrived before was read.
    Failed(io::Error),
    /// The framing gave up, or a bound was passed.
    Refused(Error),
    /// Nothing came for this long.
    Idle(Duration),
    /// Frames are lost, so that they and what is behind them get no reply.
    Lost(Loss),
    /// The pipeline ends.
    Stopping,
}

impl End {
    pub(super) fn count(&self, context: &Context) {
        context.counter("disconnects").add(1);
        match self {
            Self::Failed(error) if is_reset(error) => context.counter("resets").add(1),
            Self::Refused(_) => context.counter("refused_streams").add(1),
            Self::Idle(_) => context.counter("idle_closes").add(1),
            Self::Lost(_) => context.counter("loss_closes").add(1),
            _ => {}
        }
    }

    /// The same by its reason, for one who dials again: for others it is how clients leave.
    pub(super) fn count_failure(&self, context: &Context) {
        let failure = match self {
            Self::Closed => Failure::PeerClosed,
            Self::Failed(error) => Failure::of(error),
            Self::Refused(_) | Self::Idle(_) | Self::Lost(_) | Self::Stopping => return,
        };
        context.counter(failure.counter()).add(1);
    }

    /// A failure for the judge; `partial_bytes` of a frame had come.
    pub(super) fn event_of(error: &io::Error, partial_bytes: u64) -> Event {
        Event::Failed {
            errno: Errno::from(error),
            partial_bytes,
        }
    }

    /// The end for the judge; `partial_bytes` of a frame had come.
    pub(super) fn event(&self, partial_bytes: u64) -> Event {
        match self {
            Self::Closed => Event::Finished { partial_bytes },
            Self::Failed(error) => Self::event_of(error, partial_bytes),
            Self::Refused(error) => Event::Ours(Ours::Refused {
                reason: error.to_string(),
            }),
            Self::Idle(limit) => Event::Ours(Ours::Idle {
                limit_ms: limit.as_millis() as u64,
            }),
            Self::Lost(loss) => Event::Ours(Ours::Lost { reason: lost(loss) }),
            Self::Stopping => Event::Ours(Ours::Stopping),
        }
    }
}

fn lost(loss: &Loss) -> String {
    let why = match loss.why {
        Why::TooLong => "one that is longer than `max_frame_bytes` came with them",
        Why::Rejected => "one of them at least was rejected or given up by a full store, and nothing keeps it",
        Why::Dropped => "one of them at least was dropped on its way",
    };
    format!("its last {} frames: {why}", loss.frames)
}
