//! The sink `tcp_client`: connects, writes, and connects again when the peer has gone.

#[cfg(test)]
mod tests;

use std::rc::Rc;

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::plugin::{Acknowledgement, Context, Delivery, LastAcknowledged, Refusal, Sink};
use aqueduct_framework::units::{ByteSize, Period};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::Notify;

use super::connection::{Acknowledge, Connection, OnPeerFin};
use super::reply::{Reply, ReplyConfig};
use crate::net::{Buffers, Dial, Flight, Keepalive, checked};

/// Connects out and writes; connects again, and resumes, after every failure.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// Where to connect to, as host:port. The name is looked up at every attempt.
    address: String,
    /// How long an attempt to connect may take.
    #[serde(default = "connect_timeout")]
    connect_timeout: Period,
    /// What it means when the peer finishes sending.
    #[serde(default)]
    on_peer_fin: OnPeerFin,
    /// When a frame counts as delivered.
    #[serde(default)]
    acknowledge: Acknowledge,
    /// What the application on the other side answers; needed for `acknowledge = "reply"`.
    reply: Option<ReplyConfig>,
    /// When a connection broke off: of the bytes that the peer's kernel had acknowledged, these last ones are sent again too, in whole frames. Needs
    /// `acknowledge = "kernel"`. Copies of them are kept in memory.
    #[serde(default = "no_bytes")]
    resend_bytes: ByteSize,
    /// After this long without a word from the destination its kernel is asked whether it is still there; after three questions without an answer,
    /// a third of this apart, the connection counts as lost. `"0s"`: never.
    #[serde(default = "Keepalive::default_period")]
    keepalive: Period,
    /// At the end: how long to wait until the peer's kernel has everything.
    #[serde(default = "linger")]
    linger: Period,
    /// The kernel's receive buffer (`SO_RCVBUF`). Unset: the kernel tunes it.
    receive_buffer_bytes: Option<ByteSize>,
    /// The kernel's send buffer (`SO_SNDBUF`). Unset: the kernel tunes it.
    send_buffer_bytes: Option<ByteSize>,
}

const fn connect_timeout() -> Period {
    Period::seconds(5)
}

const fn no_bytes() -> ByteSize {
    ByteSize::kib(0)
}

const fn linger() -> Period {
    Period::seconds(2)
}

/// The plugin.
pub(super) struct TcpClient {
    dial: Dial,
    on_peer_fin: OnPeerFin,
    acknowledgement: Acknowledgement,
    reply: Option<Rc<Reply>>,
    keepalive: Keepalive,
    linger: Period,
    flight: Rc<Flight>,
    connection: Option<Connection>,
    context: Context,
}

impl Sink for TcpClient {
    type Config = Config;
    const NAME: &'static str = "tcp_client";
    const SAMPLE: &'static str = include_str!("sample.toml");

    fn new(config: Config, context: &Context) -> Result<Self> {
        Ok(Self {
            dial: Dial {
                address: checked("address", config.address)?,
                timeout: config.connect_timeout.0,
                buffers: Buffers::new(config.receive_buffer_bytes, config.send_buffer_bytes),
            },
            on_peer_fin: config.on_peer_fin,
            acknowledgement: config.acknowledge.with(config.resend_bytes)?,
            reply: Reply::new(
                config.acknowledge,
                config.reply.as_ref(),
                config.on_peer_fin,
                false,
                context,
            )?,
            keepalive: Keepalive::new(config.keepalive),
            linger: config.linger,
            flight: Rc::new(Flight::dialling(context)),
            connection: None,
            context: context.clone(),
        })
    }

    async fn open(&mut self) -> Result<()> {
        self.connection = None;
        let address = &self.dial.address;
        let stream = self.dial.connect_noted(&self.flight, &self.context).await?;
        tracing::info!(actor = %self.context.actor, "connected to {address}");
        let connection = Connection::new(
            stream,
            (&self.context.actor, address.clone()),
            self.on_peer_fin,
            self.keepalive,
            &self.flight,
            &self.context,
        );
        self.connection = Some(connection.expecting(self.reply.as_ref()));
        Ok(())
    }

    async fn write(&mut self, delivery: &mut Delivery) -> Result<()> {
        let connection = self.connection.as_mut().ok_or_else(not_open)?;
        connection.check()?;
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
            Some(connection) => connection.watch().await,
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
