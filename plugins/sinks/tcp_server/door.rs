//! Where clients knock: the listening socket, which stays while they come and go, and what they are all treated like.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::failure::Failure;
use aqueduct_framework::flight::Repeats;
use aqueduct_framework::plugin::Context;
use aqueduct_framework::telemetry::Counter;
use aqueduct_sys::socket;
use futures_util::FutureExt;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::connection::{Connection, ConnectionOptions, OnPeerFin};
use super::super::reply::Reply;
use super::config::{Clients, Config};
use super::queue::Queue;
use crate::net::{Flight, Listen, Listener};

/// Somebody who has connected.
pub(super) type Newcomer = (TcpStream, SocketAddr);

/// A health check or a port scan connects and leaves at once. Whoever stays for this long, or says something, is a client: before that nobody gets a
/// frame, unless others are served too.
const PROBE: Duration = Duration::from_millis(10);

/// The listening socket.
pub(super) struct Door {
    pub(super) listen: Listen,
    pub(super) context: Context,
    listener: Option<Listener>,
    on_peer_fin: OnPeerFin,
    /// Who left before anything was written to them.
    probes: Counter,
    comings: RefCell<Repeats<&'static str>>,
    began: Instant,
}

impl Door {
    pub(super) fn new(listen: Listen, on_peer_fin: OnPeerFin, context: &Context) -> Self {
        context.counter("connections_refused");
        Self {
            listen,
            context: context.clone(),
            listener: None,
            on_peer_fin,
            probes: context.counter("probes"),
            comings: RefCell::default(),
            began: Instant::now(),
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
        Ok(self.listener.insert(listener).address())
    }

    /// The next who connects. Cancel-safe.
    pub(super) async fn newcomer(&self) -> Newcomer {
        match &self.listener {
            Some(listener) => listener.accept().await,
            None => std::future::pending().await,
        }
    }

    /// The next who connects and stays, of those who wait in `queue` or at the door, or come to it.
    pub(super) async fn client(&self, queue: &mut Queue) -> Newcomer {
        loop {
            let (stream, peer) = match queue.next() {
                Some(next) => next,
                None => self.newcomer().await,
            };
            if !self.has_left(&stream) {
                let interest = Interest::READABLE | Interest::ERROR;
                let _ = timeout(PROBE, stream.ready(interest)).await;
            }
            if !self.is_probe(&stream, peer) {
                return (stream, peer);
            }
        }
    }

    /// Whether somebody who was given nothing yet has left; then that is counted.
    pub(super) fn is_probe(&self, stream: &TcpStream, peer: SocketAddr) -> bool {
        let left = self.has_left(stream);
        if left {
            probed(&self.context, &self.probes, peer);
        }
        left
    }

    fn has_left(&self, stream: &TcpStream) -> bool {
        socket::peer_closed(stream).map_or(true, |finished| finished && self.on_peer_fin == OnPeerFin::Reconnect)
    }

    /// Says who comes, or that nobody is here; of many in a row not each.
    pub(super) fn say_coming(&self, kind: &'static str, what: &str) {
        let at_ms = self.began.elapsed().as_millis() as u64;
        let heard = self.comings.borrow_mut().note(at_ms, kind);
        if heard.aloud() {
            tracing::info!(actor = %self.context.actor, "{what}{heard}");
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

/// Counts somebody who connected and left before anything was written to him: a health check, a port scan. Of many in a row not each is told.
pub(super) fn probed(context: &Context, probes: &Counter, peer: SocketAddr) {
    probes.add(1);
    if probes.get().is_power_of_two() {
        tracing::info!(actor = %context.actor, total = probes.get(), "{peer} connected and left at once, as health checks do: it got nothing");
    }
}

/// That a client left is no failed attempt. That one did not answer, or not as it should, is one.
pub(super) fn departed(gone: Error) -> Error {
    match gone.failure() {
        Failure::ReplyTimeout | Failure::UnexpectedReply => gone,
        _ => gone.departed(),
    }
}

/// What holds for every client's connection.
pub(super) struct Terms {
    /// How long a client's kernel has at the end to take everything.
    pub(super) linger: Duration,
    /// What clients answer, where that counts.
    pub(super) reply: Option<Rc<Reply>>,
    options: ConnectionOptions,
    may_half_close: bool,
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
            config.acknowledge,
            config.reply.as_ref(),
            config.on_peer_fin(),
            config.clients == Clients::Named,
            context,
        )?;
        Ok(Rc::new(Self {
            linger: config.linger.0,
            reply,
            options: config.options(),
            may_half_close: config.may_half_close(),
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
        let connection = Connection::new(stream, names, self.options, &self.flight, &self.context);
        Ok(connection.expecting(self.reply.as_ref()))
    }

    /// Whether somebody who has introduced himself finished sending right behind that, before the first frame, as `nc -N` does: then he still reads. One
    /// that leaves later closes in the same way.
    pub(super) async fn is_half_closed(&self, stream: &TcpStream) -> bool {
        if !self.may_half_close {
            return false;
        }
        tokio::time::sleep(PROBE).await;
        socket::peer_closed(stream).unwrap_or(false)
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
