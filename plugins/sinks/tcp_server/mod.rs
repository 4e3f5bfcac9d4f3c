//! The sink `tcp_server`: listens for its one client, and waits for it again whenever it has left.

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::plugin::{Acknowledgement, Context, Delivery, LastAcknowledged, Sink};
use aqueduct_framework::units::{ByteSize, Period};
use futures_util::FutureExt;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::connection::{Acknowledge, Connection, OnPeerFin};
use super::reply::{Reply, ReplyConfig};
use crate::net::{Buffers, Flight, Keepalive, Listen, pause_after};

/// Listens for its one client; while none is there, frames wait upstream.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// Where to listen, as host:port. With port 0 the kernel chooses one; `status` shows it.
    listen: String,
    /// What it means when the client finishes sending.
    #[serde(default)]
    on_peer_fin: OnPeerFin,
    /// When a frame counts as delivered.
    #[serde(default)]
    acknowledge: Acknowledge,
    /// What the client's application answers; needed for `acknowledge = "reply"`.
    reply: Option<ReplyConfig>,
    /// When a connection broke off: of the bytes that the client's kernel had acknowledged, these last ones are sent again too, in whole frames. Needs
    /// `acknowledge = "kernel"`. Copies of them are kept in memory.
    #[serde(default = "no_bytes")]
    resend_bytes: ByteSize,
    /// After this long without a word from the client its kernel is asked whether it is still there; after three questions without an answer,
    /// a third of this apart, the connection counts as lost. `"0s"`: never.
    #[serde(default = "Keepalive::default_period")]
    keepalive: Period,
    /// At the end: how long to wait until the client's kernel has everything.
    #[serde(default = "linger")]
    linger: Period,
    /// The kernel's receive buffer (`SO_RCVBUF`). Unset: the kernel tunes it.
    receive_buffer_bytes: Option<ByteSize>,
    /// The kernel's send buffer (`SO_SNDBUF`). Unset: the kernel tunes it.
    send_buffer_bytes: Option<ByteSize>,
}

const fn no_bytes() -> ByteSize {
    ByteSize::kib(0)
}

const fn linger() -> Period {
    Period::seconds(2)
}

/// The plugin.
pub(super) struct TcpServer {
    listen: Listen,
    on_peer_fin: OnPeerFin,
    acknowledgement: Acknowledgement,
    reply: Option<Rc<Reply>>,
    keepalive: Keepalive,
    linger: Period,
    flight: Rc<Flight>,
    listener: Option<TcpListener>,
    client: Option<Connection>,
    /// Came while its predecessor was found gone.
    next: Option<(TcpStream, SocketAddr)>,
    context: Context,
}

impl Sink for TcpServer {
    type Config = Config;
    const NAME: &'static str = "tcp_server";
    const SAMPLE: &'static str = include_str!("sample.toml");
    const LISTENS: &'static [&'static str] = &["listen"];

    fn new(config: Config, context: &Context) -> Result<Self> {
        context.counter("connections_refused");
        Ok(Self {
            listen: Listen {
                address: config.listen,
                buffers: Buffers::new(config.receive_buffer_bytes, config.send_buffer_bytes),
            },
            on_peer_fin: config.on_peer_fin,
            acknowledgement: config.acknowledge.with(config.resend_bytes)?,
            reply: Reply::new(config.acknowledge, config.reply.as_ref(), config.on_peer_fin, context)?,
            keepalive: Keepalive::new(config.keepalive),
            linger: config.linger,
            flight: Rc::new(Flight::new(context)),
            listener: None,
            client: None,
            next: None,
            context: context.clone(),
        })
    }

    async fn open(&mut self) -> Result<()> {
        self.client = None;
        let listener = match self.listener.take() {
            Some(listener) => listener,
            None => self.listen.bind(&self.context).await?,
        };
        let listener = self.listener.insert(listener);
        let (stream, peer) = match self.next.take() {
            Some(next) => next,
            None => accept(listener, &self.context).await?,
        };
        let unusable = |error: io::Error| Error::unavailable(format!("{peer} has left at once")).because(error);
        stream.set_nodelay(true).map_err(unusable)?;
        self.context.say("state", format!("serving {peer}"));
        self.context.say("peer", peer.to_string());
        tracing::info!(actor = %self.context.actor, "{peer} is the client now");
        let connection = Connection::new(
            stream,
            (&peer.to_string(), peer.to_string()),
            self.on_peer_fin,
            self.keepalive,
            &self.flight,
            &self.context,
        );
        self.client = Some(connection.expecting(self.reply.as_ref()));
        Ok(())
    }

    async fn write(&mut self, delivery: &mut Delivery) -> Result<()> {
        let (client, listener) = parts(&mut self.client, &self.listener)?;
        client.check()?;
        if let Some(newcomer) = listener.accept().now_or_never() {
            self.turn_away(newcomer).await?;
        }
        loop {
            let (client, listener) = parts(&mut self.client, &self.listener)?;
            if client.push(delivery)? {
                return Ok(());
            }
            let newcomer = tokio::select! {
                biased;
                writable = client.writable() => { writable?; continue }
                newcomer = listener.accept() => newcomer,
            };
            self.turn_away(newcomer).await?;
        }
    }

    async fn watch(&mut self) -> Error {
        loop {
            let (client, listener) = match parts(&mut self.client, &self.listener) {
                Ok(parts) => parts,
                Err(error) => return error,
            };
            let newcomer = tokio::select! {
                biased;
                gone = client.watch() => return gone,
                newcomer = listener.accept() => newcomer,
            };
            if let Err(gone) = self.turn_away(newcomer).await {
                return gone;
            }
        }
    }

    fn acknowledgement(&self) -> Acknowledgement {
        self.acknowledgement
    }

    fn acknowledged_bytes(&self) -> u64 {
        self.client.as_ref().map_or(0, Connection::acknowledged_bytes)
    }

    fn acknowledged_signal(&self) -> Option<Rc<Notify>> {
        self.reply.as_ref().map(|reply| reply.heard())
    }

    fn refused_bytes(&self) -> u64 {
        self.client.as_ref().map_or(0, Connection::refused_bytes)
    }

    async fn last_acknowledged(&mut self) -> LastAcknowledged {
        match &mut self.client {
            Some(client) => client.last_acknowledged(self.linger.0).await,
            None => LastAcknowledged {
                bytes: 0,
                orderly: true,
            },
        }
    }

    async fn close(&mut self) -> Result<()> {
        self.listener = None;
        match &mut self.client {
            Some(client) => client.close(self.linger.0).await,
            None => Ok(()),
        }
    }
}

impl TcpServer {
    /// Closes a second client at once, unless the first turns out to have gone: then it is the next.
    ///
    /// # Errors
    /// `unavailable` when the first has gone.
    async fn turn_away(&mut self, newcomer: io::Result<(TcpStream, SocketAddr)>) -> Result<()> {
        let (stream, peer) = match newcomer {
            Ok(newcomer) => newcomer,
            Err(error) => {
                tokio::time::sleep(pause_after(&error)).await;
                return Ok(());
            }
        };
        if let Some(Err(gone)) = self.client.as_mut().map(Connection::check) {
            self.next = Some((stream, peer));
            return Err(gone);
        }
        let refused = self.context.counter("connections_refused");
        refused.add(1);
        if refused.get().is_power_of_two() {
            tracing::warn!(actor = %self.context.actor, total = refused.get(),
                "{peer} is refused: there is a client already, and frames go to one at a time");
        }
        Ok(())
    }
}

fn parts<'a>(
    client: &'a mut Option<Connection>,
    listener: &'a Option<TcpListener>,
) -> Result<(&'a mut Connection, &'a TcpListener)> {
    client
        .as_mut()
        .zip(listener.as_ref())
        .ok_or_else(|| Error::unavailable("no client yet"))
}

async fn accept(listener: &TcpListener, context: &Context) -> Result<(TcpStream, SocketAddr)> {
    let address = listener
        .local_addr()
        .map_or_else(|_| "its address".to_owned(), |address| address.to_string());
    context.say("state", format!("waiting for a client on {address}"));
    tracing::info!(actor = %context.actor, "waiting for a client on {address}");
    loop {
        match listener.accept().await {
            Ok(accepted) => return Ok(accepted),
            Err(error) => {
                context.counter("accept_errors").add(1);
                tracing::warn!(actor = %context.actor, "cannot accept a connection: {error}");
                tokio::time::sleep(pause_after(&error)).await;
            }
        }
    }
}
