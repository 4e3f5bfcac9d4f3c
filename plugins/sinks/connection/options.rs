//! What the sinks that write TCP connections have for options alike.

use std::time::Duration;

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::plugin::Acknowledgement;
use aqueduct_framework::units::{ByteSize, Period};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::net::Keepalive;

/// What a FIN of the peer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum OnPeerFin {
    /// The peer has gone: connect again. Noticed before a write, so that nothing is written to nobody.
    #[default]
    Reconnect,
    /// The peer only sends nothing more, and still reads.
    Continue,
}

/// When a frame counts as delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum Acknowledge {
    /// When the peer's kernel has acknowledged it, the peer's window does not show it as unread, and the connection has outlived it by `settle_after`. What
    /// is not settled when a connection ends is written again on the next one: at least once.
    #[default]
    Settled,
    /// When our kernel has taken it: at most once. What the peer has not read when its connection ends is lost; the log and `status` say how much that is
    /// at most.
    Written,
    /// When the peer's kernel has acknowledged it. What stands unread there is lost with it.
    Kernel,
    /// When the peer's application has answered it, as `reply` says.
    Reply,
}

impl Acknowledge {
    /// What it asks of the sender.
    ///
    /// # Errors
    /// When bytes are to be sent again of which nobody keeps track.
    pub(in super::super) fn with(self, resend_bytes: ByteSize, settle: Settle) -> Result<Acknowledgement> {
        match (self, resend_bytes.bytes()) {
            (Self::Settled, 0) => Ok(Acknowledgement::Confirmed {
                settle_bytes: settle.bytes.bytes(),
                unread_bytes: settle.unread_bytes.bytes(),
            }),
            (Self::Settled, _) => Err(Error::fatal(
                "`resend_bytes` needs `acknowledge = \"kernel\"`: with \"settled\" what the peer seems not to have read is written again anyway",
            )),
            (Self::Kernel, resend_bytes) => Ok(Acknowledgement::Later { resend_bytes }),
            (Self::Written, 0) => Ok(Acknowledgement::Written),
            (Self::Reply, 0) => Ok(Acknowledgement::Later { resend_bytes: 0 }),
            (Self::Written, _) => Err(Error::fatal(
                "`resend_bytes` needs `acknowledge = \"kernel\"`: with \"written\" no frame is kept once our kernel has taken it",
            )),
            (Self::Reply, _) => Err(Error::fatal(
                "`resend_bytes` needs `acknowledge = \"kernel\"`: with \"reply\" the application itself says what it has",
            )),
        }
    }
}

/// The options of `acknowledge = "settled"`.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Settle {
    /// What may wait for that.
    pub(in super::super) bytes: ByteSize,
    /// What may wait because it seems to be unread.
    pub(in super::super) unread_bytes: ByteSize,
}

impl Settle {
    pub(in super::super) const AFTER: Period = Period::seconds(1);
    pub(in super::super) const BYTES: ByteSize = ByteSize::mib(16);
    pub(in super::super) const UNREAD_BYTES: ByteSize = ByteSize::mib(64);
}

/// How a connection is treated, whoever opened it.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct ConnectionOptions {
    pub(in super::super) on_fin: OnPeerFin,
    pub(in super::super) keepalive: Keepalive,
    pub(in super::super) acknowledge: Acknowledge,
    pub(in super::super) settle_after: Duration,
    /// The peer has opened it.
    pub(in super::super) invited: bool,
}
