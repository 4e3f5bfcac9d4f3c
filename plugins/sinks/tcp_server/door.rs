//! Where clients knock: the listening socket, which stays while they come and go, and what they are all treated like.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::flight::Repeats;
use aqueduct_framework::plugin::Context;
use futures_util::FutureExt;
use tokio::net::{TcpListener, TcpStream};

use super::super::connection::{Connection, OnPeerFin};
use super::super::reply::Reply;
use super::config::{Clients, Config};
use crate::net::{Flight, Keepalive, Listen, pause_after};

/// Somebody who has connected.
pub(super) type Newcomer = (TcpStream, SocketAddr);

/// The listening socket.
pub(super) struct Door {
    pub(super) listen: Listen,
    pub(super) context: Context,
    listener: Option<TcpListener>,
}

impl Door {
    pub(super) fn new(listen: Listen, context: &Context) -> Self {
        context.counter("connections_refused");
        Self {
            listen,
            context: context.clone(),
            listener: None,
        }
    }

    /// Listens, unless it does already. Returns where.
    ///
    /// # Errors
    /// `fatal` when the address cannot be listened on.
    pub(super) async fn open(&mut self) -> Result<String> {
        let listener = match self.listener.take() {
            Some(listener) => listener,
            None => self.listen.bind(&self.context).await?,
        };
        let address = self.listener.insert(listener).local_addr();
        Ok(address.map_or_else(|_| "its address".to_owned(), |address| address.to_string()))
    }

    /// The next who connects. Cancel-safe.
    pub(super) async fn newcomer(&self) -> Newcomer {
        let Some(listener) = &self.listener else {
            return std::future::pending().await;
        };
        loop {
            match listener.accept().await {
                Ok(newcomer) => return newcomer,
                Err(error) => {
                    let errors = self.context.counter("accept_errors");
                    errors.add(1);
                    if errors.get().is_power_of_two() {
                        tracing::warn!(actor = %self.context.actor, total = errors.get(), "cannot accept a connection: {error}");
                    }
                    tokio::time::sleep(pause_after(&error)).await;
                }
            }
        }
    }

    /// One who has connected already.
    pub(super) fn waiting(&self) -> Option<Newcomer> {
        self.newcomer().now_or_never()
    }

    /// As [`refuse`].
    pub(super) fn refuse(&self, peer: SocketAddr, why: &str) {
        refuse(&self.context, peer, why);
    }

    /// Listens no more.
    pub(super) fn close(&mut self) {
        self.listener = None;
    }
}

/// Counts somebody who is closed at once, and says why; of many in a row not each.
pub(super) fn refuse(context: &Context, peer: SocketAddr, why: &str) {
    let refused = context.counter("connections_refused");
    refused.add(1);
    if refused.get().is_power_of_two() {
        tracing::warn!(actor = %context.actor, total = refused.get(), "{peer} is refused: {why}");
    }
}

/// What holds for every client's connection.
pub(super) struct Terms {
    /// How long a client's kernel has at the end to take everything.
    pub(super) linger: Duration,
    /// What clients answer, where that counts.
    pub(super) reply: Option<Rc<Reply>>,
    on_peer_fin: OnPeerFin,
    keepalive: Keepalive,
    flight: Rc<Flight>,
    context: Context,
    began: Instant,
    /// Of those who left.
    farewells: RefCell<Repeats<()>>,
}

impl Terms {
    /// # Errors
    /// When `reply` does not fit the other options.
    pub(super) fn new(config: &Config, context: &Context) -> Result<Rc<Self>> {
        let reply = Reply::new(
            config.acknowledge(),
            config.reply.as_ref(),
            config.on_peer_fin,
            config.clients == Clients::Named,
            context,
        )?;
        Ok(Rc::new(Self {
            linger: config.linger.0,
            reply,
            on_peer_fin: config.on_peer_fin,
            keepalive: Keepalive::new(config.keepalive),
            flight: Rc::new(Flight::accepting(context)),
            context: context.clone(),
            began: Instant::now(),
            farewells: RefCell::default(),
        }))
    }

    /// Takes a connection over. `who` is the client in sentences about it.
    ///
    /// # Errors
    /// `unavailable` when it has left already.
    pub(super) fn connection(&self, stream: TcpStream, who: &str, peer: SocketAddr) -> Result<Connection> {
        let unusable = |error: io::Error| Error::unavailable(format!("{who} has left at once")).because(error);
        stream.set_nodelay(true).map_err(unusable)?;
        let names = (who, peer.to_string());
        let (fin, keepalive) = (self.on_peer_fin, self.keepalive);
        let connection = Connection::new(stream, names, fin, keepalive, &self.flight, &self.context);
        Ok(connection.expecting(self.reply.as_ref()))
    }

    /// Counts by the reason that one of several clients has left, and says why; of many in a row not each.
    pub(super) fn farewell(&self, why: &Error) {
        self.context.counter(why.failure().counter()).add(1);
        let at_ms = self.began.elapsed().as_millis() as u64;
        let heard = self.farewells.borrow_mut().note(at_ms, ());
        if heard.aloud() {
            tracing::info!(actor = %self.context.actor, "{why}{heard}");
        }
    }
}
