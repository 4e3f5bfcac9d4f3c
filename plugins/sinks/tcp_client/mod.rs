//! The sink `tcp_client`: connects, writes, and connects again when the peer has gone.

mod age;
mod caution;
mod targets;
#[cfg(test)]
mod tests;

use std::rc::Rc;
use std::time::Duration;

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::plugin::{Acknowledgement, Confirmed, Context, Delivery, LastAcknowledged, Refusal, Sink};
use aqueduct_framework::units::{ByteSize, Period};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::Notify;

use super::connection::{Acknowledge, Connection, ConnectionOptions, Ended, OnPeerFin, Settle};
use super::reply::{Reply, ReplyConfig};
use crate::net::{Buffers, Dial, Flight, Keepalive};
use age::Age;
use caution::Caution;
use targets::{Addresses, Pick, Targets};

/// Connects out and writes; connects again, and resumes, after every failure.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// Where to connect to, as host:port, or a list of such; `pick` says which of them is taken. A name is looked up at every attempt.
    address: Addresses,
    /// Which of several addresses is tried first. When it does not answer the others are tried at once, in their order.
    #[serde(default)]
    pick: Pick,
    /// The local address to dial from. Unset: the kernel chooses.
    bind: Option<std::net::IpAddr>,
    /// A connection that is older is ended in order between two batches, and another made: so balancers in between can share the load anew. A tenth of it
    /// is drawn at random, so that not all senders do so at once. 1 s or more. Unset: never.
    max_connection_age: Option<Period>,
    /// How long an attempt to connect may take.
    #[serde(default = "connect_timeout")]
    #[schemars(extend("minimum" = 1))]
    connect_timeout: Period,
    /// What it means when the peer finishes sending.
    #[serde(default)]
    on_peer_fin: OnPeerFin,
    /// When a frame counts as delivered.
    #[serde(default)]
    acknowledge: Acknowledge,
    /// `acknowledge = "settled"`: how long a connection has to outlive what was written on it.
    #[serde(default = "settle_after")]
    settle_after: Period,
    /// `acknowledge = "settled"`: memory that may wait for `settle_after`. A faster feed settles what is read sooner.
    #[serde(default = "settle_bytes")]
    settle_bytes: ByteSize,
    /// `acknowledge = "settled"`: memory that may wait because the destination seems not to have read it. Past it the oldest counts as delivered.
    #[serde(default = "unread_bytes")]
    unread_bytes: ByteSize,
    /// What the application on the other side answers; needed for `acknowledge = "reply"`.
    reply: Option<ReplyConfig>,
    /// When a connection broke off: of the bytes that the peer's kernel had acknowledged, these last ones are sent again too, in whole frames. Needs
    /// `acknowledge = "kernel"`. Copies of them are kept in memory.
    #[serde(default = "no_bytes")]
    resend_bytes: ByteSize,
    /// After this long without a word from the destination its kernel is asked whether it is still there; after three questions without an answer,
    /// a third of this apart, the connection counts as lost. `"0s"`: never.
    #[serde(default = "Keepalive::default_period")]
    #[schemars(extend("maximum" = 32_767_000))]
    keepalive: Period,
    /// At the end: how long to wait until the peer's kernel has everything.
    #[serde(default = "linger")]
    linger: Period,
    /// The kernel's receive buffer (`SO_RCVBUF`). Unset: the kernel tunes it.
    #[schemars(range(min = 1))]
    receive_buffer_bytes: Option<ByteSize>,
    /// The kernel's send buffer (`SO_SNDBUF`). Unset: the kernel tunes it.
    #[schemars(range(min = 1))]
    send_buffer_bytes: Option<ByteSize>,
}

const fn connect_timeout() -> Period {
    Period::seconds(5)
}

const fn no_bytes() -> ByteSize {
    ByteSize::kib(0)
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

const fn linger() -> Period {
    Period::seconds(2)
}

/// The plugin.
pub(super) struct TcpClient {
    targets: Targets,
    age: Age,
    options: ConnectionOptions,
    acknowledgement: Acknowledgement,
    reply: Option<Rc<Reply>>,
    linger: Period,
    flight: Rc<Flight>,
    connection: Option<Connection>,
    /// How the last one ended.
    last: Option<Ended>,
    context: Context,
}

impl Sink for TcpClient {
    type Config = Config;
    const NAME: &'static str = "tcp_client";
    const SAMPLE: &'static str = include_str!("sample.toml");

    fn new(config: Config, context: &Context) -> Result<Self> {
        Ok(Self {
            age: Age::new(config.max_connection_age, context)?,
            targets: Targets::new(config.address, config.pick, |address| {
                let buffers = Buffers::new(config.receive_buffer_bytes, config.send_buffer_bytes);
                Dial::new(address, config.connect_timeout.0, buffers).from(config.bind)
            })?,
            options: ConnectionOptions {
                on_fin: config.on_peer_fin,
                keepalive: Keepalive::new(config.keepalive),
                acknowledge: config.acknowledge,
                settle_after: config.settle_after.0,
                invited: false,
            },
            acknowledgement: config.acknowledge.with(
                config.resend_bytes,
                Settle {
                    bytes: config.settle_bytes,
                    unread_bytes: config.unread_bytes,
                },
            )?,
            reply: Reply::new(
                config.acknowledge,
                config.reply.as_ref(),
                config.on_peer_fin,
                false,
                context,
            )?,
            linger: config.linger,
            flight: Rc::new(Flight::dialling(context)),
            connection: None,
            last: None,
            context: context.clone(),
        })
    }

    async fn open(&mut self) -> Result<()> {
        if let Some(last) = self.connection.take() {
            self.last = last.ended();
        }
        let (stream, address) = self.targets.connect(&self.flight, &self.context).await?;
        self.age.begins();
        tracing::info!(actor = %self.context.actor, "connected to {address}");
        let connection = Connection::new(
            stream,
            (&self.context.actor, address.to_owned()),
            self.options,
            &self.flight,
            &self.context,
        );
        let connection = self.connection.insert(connection.expecting(self.reply.as_ref()));
        if self.options.acknowledge == Acknowledge::Settled {
            let caution = Caution::new(self.options.settle_after, self.last);
            connection.on_probation(caution.probation);
            if caution.wait > Duration::ZERO {
                tokio::select! {
                    gone = connection.watch() => return Err(gone),
                    () = tokio::time::sleep(caution.wait) => connection.trust_fin(),
                }
            }
        }
        Ok(())
    }

    async fn write(&mut self, delivery: &mut Delivery) -> Result<()> {
        let connection = self.connection.as_mut().ok_or_else(not_open)?;
        connection.check()?;
        if self.age.is_reached() {
            return Err(self.age.end(connection, self.linger.0).await);
        }
        let left = delivery.wire().len();
        while !connection.push(delivery)? {
            if connection.answers() && delivery.wire().len() < left {
                return Ok(());
            }
            connection.writable().await?;
        }
        Ok(())
    }

    async fn watch(&mut self) -> Error {
        match &mut self.connection {
            Some(connection) => {
                tokio::select! {
                    biased;
                    gone = connection.watch() => return gone,
                    () = self.age.reached() => {}
                }
                self.age.end(connection, self.linger.0).await
            }
            None => not_open(),
        }
    }

    fn acknowledgement(&self) -> Acknowledgement {
        self.acknowledgement
    }

    fn acknowledged_bytes(&self) -> u64 {
        self.connection.as_ref().map_or(0, Connection::acknowledged_bytes)
    }

    fn acknowledged_signal(&self) -> Option<Rc<Notify>> {
        self.reply.as_ref().map(|reply| reply.heard())
    }

    fn refused_bytes(&self) -> u64 {
        self.connection.as_ref().map_or(0, Connection::refused_bytes)
    }

    fn take_refusals(&mut self) -> Vec<Refusal> {
        self.connection
            .as_mut()
            .map(Connection::take_refusals)
            .unwrap_or_default()
    }

    async fn last_acknowledged(&mut self) -> LastAcknowledged {
        match &mut self.connection {
            Some(connection) => connection.last_acknowledged(self.linger.0).await,
            None => LastAcknowledged {
                bytes: 0,
                orderly: true,
            },
        }
    }

    fn confirmed(&mut self) -> Option<Confirmed> {
        self.connection.as_mut()?.confirmed()
    }

    async fn finish(&mut self) -> Result<()> {
        match &mut self.connection {
            Some(connection) => connection.finish(self.linger.0).await,
            None => Ok(()),
        }
    }

    async fn close(&mut self) -> Result<()> {
        match &mut self.connection {
            Some(connection) => connection.close(self.linger.0).await,
            None => Ok(()),
        }
    }
}

fn not_open() -> Error {
    Error::unavailable("not connected yet")
}
