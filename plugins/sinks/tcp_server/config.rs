//! The options of the sink `tcp_server`, and which of them fit together.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::units::{ByteSize, Period};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::connection::{Acknowledge, ConnectionOptions, OnPeerFin, Settle};
use super::super::reply::ReplyConfig;
use super::guests::Secret;
use crate::net::Keepalive;

const MAX_CLIENTS: usize = 64;
const LAG_LIMIT: Duration = Duration::from_secs(10);
const SEAT_TIMEOUT: Duration = Duration::from_secs(3);
const STALL_TIMEOUT: Duration = Duration::from_secs(60);
const INTRODUCTION_TIMEOUT: Duration = Duration::from_secs(10);

/// Listens for its clients; while none is there, frames wait upstream.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Config {
    /// Where to listen, as host:port; `localhost` and `*` are both families. With port 0 the kernel chooses one; `status` shows it.
    pub(super) listen: String,
    /// Who is served.
    #[serde(default)]
    pub(super) clients: Clients,
    /// `"all"`, `"named"`: clients at the same time; more are refused. With `"named"` as many again may be about to introduce themselves. Unset: 64.
    pub(super) max_clients: Option<NonZeroUsize>,
    /// `"all"`: a client that takes nothing for this long while others wait for it is closed, counted in `clients_too_slow`. Unset: 10 s.
    #[schemars(extend("minimum" = 1))]
    pub(super) lag_limit: Option<Period>,
    /// `"one"`: how long a second connection waits for the first to leave, which may be a health check, before it is refused. 16 can wait. `"0s"`: it is
    /// refused at once. Unset: 3 s.
    pub(super) seat_timeout: Option<Period>,
    /// `"one"`, `"all"`: a client that takes no byte for this long while something waits for it is closed, so that others can have its place; counted in
    /// `clients_stalled` and named in the log. What it had not taken waits for the next. `"0s"`: never. Unset: 60 s.
    #[schemars(extend("minimum" = 1))]
    pub(super) stall_timeout: Option<Period>,
    /// `"named"`: the name of each client, and the secret token that it sends as its first line.
    pub(super) tokens: Option<BTreeMap<String, Secret>>,
    /// `"named"`, instead of `tokens`: the first line is the name itself, and nobody has to prove anything. For networks where everybody is trusted.
    #[serde(default)]
    pub(super) any_name: bool,
    /// `"named"`: where a client begins that never was here before. Unset: `"oldest"`.
    pub(super) new_clients: Option<NewClients>,
    /// `"named"`: how long a client may take to introduce itself. Unset: 10 s.
    #[schemars(extend("minimum" = 1))]
    pub(super) introduction_timeout: Option<Period>,
    /// What it means when the client finishes sending. Unset: `"reconnect"`, that it has left; with `"named"` one that does so right behind its
    /// introduction, before the first frame, as `nc -N` does, still reads, and is served until it resets (not with `acknowledge = "reply"`).
    pub(super) on_peer_fin: Option<OnPeerFin>,
    /// When a frame counts as delivered.
    #[serde(default)]
    pub(super) acknowledge: Acknowledge,
    /// `acknowledge = "settled"`: how long a connection has to outlive what was written on it.
    #[serde(default = "settle_after")]
    pub(super) settle_after: Period,
    /// `acknowledge = "settled"`: memory that may wait for `settle_after`. A faster feed settles what is read sooner. With `"named"` nothing is kept in
    /// memory, and this bounds nothing.
    #[serde(default = "settle_bytes")]
    pub(super) settle_bytes: ByteSize,
    /// `acknowledge = "settled"`: memory that may wait because the client seems not to have read it. Past it the oldest counts as delivered; with
    /// `"named"` it never does.
    #[serde(default = "unread_bytes")]
    pub(super) unread_bytes: ByteSize,
    /// What the client's application answers; needed for `acknowledge = "reply"`.
    pub(super) reply: Option<ReplyConfig>,
    /// When a connection broke off: of the bytes that the client's kernel had acknowledged, these last ones are sent again too, in whole frames. Needs
    /// `acknowledge = "kernel"`. Copies of them are kept in memory, except with `clients = "named"`, where the store has them.
    #[serde(default = "no_bytes")]
    pub(super) resend_bytes: ByteSize,
    /// After this long without a word from the client its kernel is asked whether it is still there; after three questions without an answer,
    /// a third of this apart, the connection counts as lost. `"0s"`: never.
    #[serde(default = "Keepalive::default_period")]
    #[schemars(extend("maximum" = 32_767_000))]
    pub(super) keepalive: Period,
    /// At the end: how long to wait until the client's kernel has everything.
    #[serde(default = "linger")]
    pub(super) linger: Period,
    /// The kernel's receive buffer (`SO_RCVBUF`). Unset: the kernel tunes it.
    #[schemars(range(min = 1))]
    pub(super) receive_buffer_bytes: Option<ByteSize>,
    /// The kernel's send buffer (`SO_SNDBUF`). Unset: the kernel tunes it.
    #[schemars(range(min = 1))]
    pub(super) send_buffer_bytes: Option<ByteSize>,
}

/// Who is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Clients {
    /// One at a time; others wait for `seat_timeout`, and are refused while it is there.
    #[default]
    One,
    /// All that are connected, each of them with every frame that comes while it is, at the speed of the slowest.
    All,
    /// All that introduce themselves, each with every frame, from where it stopped, at its own speed. Needs a spill store that retains frames directly in front.
    Named,
}

/// Where a client begins that never was here before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum NewClients {
    /// With the oldest frame that the store has.
    #[default]
    Oldest,
    /// With the next frame that comes.
    Newest,
}

impl Config {
    /// Looks for options that contradict each other.
    ///
    /// # Errors
    /// The first that does, and what it needs.
    pub(super) fn check(&self) -> Result<()> {
        let (all, named) = (self.clients == Clients::All, self.clients == Clients::Named);
        for (key, given, fits, needed) in [
            (
                "max_clients",
                self.max_clients.is_some(),
                all || named,
                "\"all\" or \"named\"",
            ),
            ("seat_timeout", self.seat_timeout.is_some(), !all && !named, "\"one\""),
            ("lag_limit", self.lag_limit.is_some(), all, "\"all\""),
            (
                "stall_timeout",
                self.stall_timeout.is_some(),
                !named,
                "\"one\" or \"all\"",
            ),
            ("tokens", self.tokens.is_some(), named, "\"named\""),
            ("any_name", self.any_name, named, "\"named\""),
            ("new_clients", self.new_clients.is_some(), named, "\"named\""),
            (
                "introduction_timeout",
                self.introduction_timeout.is_some(),
                named,
                "\"named\"",
            ),
        ] {
            if given && !fits {
                return Err(Error::fatal(format!("`{key}` needs `clients = {needed}`")));
            }
        }
        if all && !matches!(self.acknowledge, Acknowledge::Settled | Acknowledge::Written) {
            return Err(Error::fatal(
                "`clients = \"all\"` can have `acknowledge = \"settled\"` or \"written\" only: what one client has not acknowledged would be sent again to \
                 all; clients that must miss nothing need `clients = \"named\"`",
            ));
        }
        Ok(())
    }

    /// What it means when the client finishes sending.
    pub(super) fn on_peer_fin(&self) -> OnPeerFin {
        self.on_peer_fin.unwrap_or_default()
    }

    /// Whether one that finishes sending right behind its introduction still reads.
    pub(super) fn may_half_close(&self) -> bool {
        let unset = self.clients == Clients::Named && self.on_peer_fin.is_none();
        unset && self.acknowledge != Acknowledge::Reply
    }

    /// Clients at the same time.
    pub(super) fn max_clients(&self) -> usize {
        self.max_clients.map_or(MAX_CLIENTS, NonZeroUsize::get)
    }

    /// How long a second connection may wait for the first to leave.
    pub(super) fn seat_timeout(&self) -> Duration {
        self.seat_timeout.map_or(SEAT_TIMEOUT, Period::duration)
    }

    /// How long a client may hold up the others.
    pub(super) fn lag_limit(&self) -> Duration {
        self.lag_limit.map_or(LAG_LIMIT, Period::duration)
    }

    /// How long a client may take nothing of what waits for it; none: as long as it likes.
    pub(super) fn stall_timeout(&self) -> Option<Duration> {
        let timeout = self.stall_timeout.map_or(STALL_TIMEOUT, Period::duration);
        Some(timeout).filter(|timeout| !timeout.is_zero())
    }

    /// How long an introduction may take.
    pub(super) fn introduction_timeout(&self) -> Duration {
        self.introduction_timeout.map_or(INTRODUCTION_TIMEOUT, Period::duration)
    }

    /// What waits to be settled.
    pub(super) fn settle(&self) -> Settle {
        Settle {
            bytes: self.settle_bytes,
            unread_bytes: self.unread_bytes,
        }
    }

    /// How every client's connection is treated.
    pub(super) fn options(&self) -> ConnectionOptions {
        ConnectionOptions {
            on_fin: self.on_peer_fin(),
            keepalive: Keepalive::new(self.keepalive),
            acknowledge: self.acknowledge,
            settle_after: self.settle_after.0,
            invited: true,
        }
    }
}

const fn settle_after() -> Period {
    Settle::AFTER
}

const fn settle_bytes() -> ByteSize {
    Settle::BYTES
}

const fn unread_bytes() -> ByteSize {
    Settle::UNREAD_BYTES
}

const fn no_bytes() -> ByteSize {
    ByteSize::kib(0)
}

const fn linger() -> Period {
    Period::seconds(2)
}
