//! One TCP connection that is written: what the sinks `tcp_client` and `tcp_server` do with a connection once they have it.
//!
//! What the peer sends is read, or its sends would fill up, and closing with bytes unread would be an RST that destroys what it has not read yet. With
//! `acknowledge = "reply"` it is taken as answers, and thrown away otherwise.

mod hearing;
mod leaving;
mod options;
mod settling;
#[cfg(test)]
mod tests;

use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::failure::Failure;
use aqueduct_framework::flight::{Errno, Event};
use aqueduct_framework::plugin::{Confirmed, Context, Delivery, Refusal};
use aqueduct_framework::telemetry::Counter;
use aqueduct_sys::socket;
use tokio::io::Interest;
use tokio::net::TcpStream;

pub(super) use self::leaving::Ended;
pub(super) use self::options::{Acknowledge, ConnectionOptions, OnPeerFin, Settle};
use self::settling::{Look, Settling};
use super::reply::{Exchange, Reply};
use super::watch::Watch;
use crate::net::Flight;

/// A write up to this is handed over whole; a longer one is cut into pieces of it. Half a read, and no power of two: a send of exactly
/// 65,536 bytes costs about a quarter more CPU than one of 65,000 on loopback, and pieces of 64,000 cost a sixth more CPU per GB than these.
const PIECE_BYTES: usize = 128_000;

/// From here on a write is worth handing over whole again.
const WHOLE_BYTES: usize = 1024 * 1024;

/// The kernel is asked no more often than this how far the peer is, while all goes well.
const LOOK_EVERY: Duration = Duration::from_millis(5);

pub(super) struct Connection {
    stream: TcpStream,
    peer: String,
    options: ConnectionOptions,
    settling: Settling,
    began: Instant,
    first_write: Option<Instant>,
    ended: Option<Instant>,
    looked: Option<Instant>,
    /// The peer's kernel is asked for its window.
    asking: bool,
    /// We have said that nothing more comes.
    said_goodbye: bool,
    /// A FIN before anything is settled says that the peer has read everything.
    trusts_fin: bool,
    /// The peer's FIN was read.
    finished: bool,
    /// Our kernel reported an error: no more will be acknowledged.
    failed: bool,
    /// Bytes our kernel has taken.
    written: u64,
    /// Where the frames end that a missing or wrong answer was about.
    refused_bytes: u64,
    scratch: Vec<u8>,
    ignored: Counter,
    /// What the peer answers, where that counts.
    exchange: Option<Exchange>,
    watch: Watch,
}

impl Connection {
    /// Takes a connection over. `who` is the peer in sentences about it, `peer` its address.
    pub(super) fn new(
        stream: TcpStream,
        (who, peer): (&str, String),
        options: ConnectionOptions,
        flight: &Rc<Flight>,
        context: &Context,
    ) -> Self {
        // Without it a peer that vanishes is missed only later; there is nobody to tell who could do something about it.
        let _ = options.keepalive.apply(&stream);
        Self {
            watch: Watch::new(who, flight.clone(), context),
            stream,
            peer,
            settling: Settling::new(options.settle_after.as_millis() as u64),
            trusts_fin: false,
            options,
            began: Instant::now(),
            first_write: None,
            ended: None,
            looked: None,
            asking: false,
            said_goodbye: false,
            finished: false,
            failed: false,
            written: 0,
            refused_bytes: 0,
            scratch: vec![0; 16 * 1024],
            ignored: context.counter("reply_bytes_ignored"),
            exchange: None,
        }
    }

    /// What the peer sends are answers, where `reply` is given.
    pub(super) fn expecting(mut self, reply: Option<&Rc<Reply>>) -> Self {
        self.exchange = reply.cloned().map(Exchange::new);
        self
    }

    /// The peer's FIN says only that it sends nothing more.
    pub(super) fn reading_on(mut self) -> Self {
        self.options.on_fin = OnPeerFin::Continue;
        self
    }

    /// Whether the peer is still there, as far as our kernel knows.
    ///
    /// # Errors
    /// `unavailable` when it has gone.
    pub(super) fn check(&mut self) -> Result<()> {
        match socket::peer_closed(&self.stream) {
            // Answers must not wait until nothing is left to write.
            Ok(false) if self.exchange.is_some() => self.hear(),
            Ok(false) => Ok(()),
            // What it sent before must be read, or our close would be an RST.
            Ok(true) => self.hear_to_fin(),
            Err(error) => Err(self.lost(error)),
        }
    }

    /// Writes what the socket takes now, and the window of unanswered frames. True when everything was written.
    ///
    /// # Errors
    /// `unavailable` when the peer has gone.
    pub(super) fn push(&mut self, delivery: &mut Delivery) -> Result<bool> {
        while !delivery.wire().is_empty() {
            let wire = delivery.wire();
            let bytes = if wire.len() >= WHOLE_BYTES {
                wire.len()
            } else {
                wire.len().min(PIECE_BYTES)
            };
            let allowed = self.exchange.as_ref().map(|exchange| exchange.allowed(delivery, bytes));
            if allowed == Some(0) {
                return Ok(false);
            }
            match self.stream.try_write(&wire[..allowed.unwrap_or(bytes)]) {
                Ok(written) => {
                    self.watch.wrote(written);
                    if let Some(exchange) = &mut self.exchange {
                        exchange.wrote(delivery, written, self.written);
                    }
                    if self.written == 0 {
                        self.first_write = Some(Instant::now());
                    }
                    self.written += written as u64;
                    delivery.advance(written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.watch.refused();
                    return Ok(false);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.lost(error)),
            }
        }
        if let Some(exchange) = &mut self.exchange {
            exchange.batch_ended();
        }
        Ok(true)
    }

    /// True when it is worth to come back from a write that got on: what is answered meanwhile can be settled only then.
    pub(super) fn answers(&self) -> bool {
        self.exchange.is_some()
    }

    /// Waits until more may be taken, or until an answer has come. Cancel-safe.
    ///
    /// # Errors
    /// `unavailable` when the peer has gone.
    pub(super) async fn writable(&mut self) -> Result<()> {
        let full = self.exchange.as_ref().is_some_and(Exchange::is_full);
        let interest = match (self.finished, full) {
            (true, _) => Interest::WRITABLE,
            (false, true) => Interest::READABLE,
            (false, false) => Interest::WRITABLE | Interest::READABLE,
        };
        let ready = loop {
            tokio::select! {
                biased;
                ready = self.stream.ready(interest) => break ready,
                () = self.watch.due() => self.watch.look(&self.stream),
                sentence = overdue(&self.exchange) => return Err(self.unanswered(sentence, Failure::ReplyTimeout)),
            }
        };
        match ready {
            Ok(ready) if ready.is_readable() && !self.finished => self.hear(),
            Ok(_) => Ok(()),
            Err(error) => Err(self.lost(error)),
        }
    }

    /// Resolves when the peer goes away. Cancel-safe.
    pub(super) async fn watch(&mut self) -> Error {
        while !self.finished {
            let readable = tokio::select! {
                biased;
                readable = self.stream.readable() => readable,
                sentence = overdue(&self.exchange) => return self.unanswered(sentence, Failure::ReplyTimeout),
            };
            let read = readable.map_err(|error| self.lost(error)).and_then(|()| self.hear());
            if let Err(error) = read {
                return error;
            }
            tokio::task::yield_now().await;
        }
        // It may still read, until it breaks the connection off.
        let failed = self
            .stream
            .ready(Interest::ERROR)
            .await
            .and_then(|_| self.stream.take_error());
        match failed {
            Ok(error) => self.lost(error.unwrap_or_else(|| io::ErrorKind::ConnectionReset.into())),
            Err(error) => self.lost(error),
        }
    }

    /// Bytes that the peer's application has answered, or its kernel acknowledged; also told of a connection that was reset, as long as this lives.
    pub(super) fn acknowledged_bytes(&self) -> u64 {
        if let Some(exchange) = &self.exchange {
            return exchange.answered_bytes();
        }
        // What cannot be asked counts as not acknowledged: to send again is the lesser evil.
        socket::unsent_bytes(&self.stream).map_or(0, |unsent| self.written.saturating_sub(unsent))
    }

    /// Its address.
    pub(super) fn peer(&self) -> &str {
        &self.peer
    }

    /// Bytes that the peer's kernel has taken, and whether more wait for it.
    pub(super) fn taken_bytes(&self) -> (u64, bool) {
        let untaken = socket::unsent_bytes(&self.stream).unwrap_or(0);
        (self.written.saturating_sub(untaken), untaken > 0)
    }

    /// Where the frames end that a missing or wrong answer was about; no further than what is acknowledged otherwise.
    pub(super) fn refused_bytes(&self) -> u64 {
        self.refused_bytes
    }

    /// What the peer's application has refused for good since it was asked last.
    pub(super) fn take_refusals(&mut self) -> Vec<Refusal> {
        self.exchange.as_mut().map(Exchange::take_refusals).unwrap_or_default()
    }

    /// How far the peer is; none where it answers itself.
    pub(super) fn confirmed(&mut self) -> Option<Confirmed> {
        if self.exchange.is_some() {
            return None;
        }
        if !self.failed && self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY) {
            self.look();
        }
        Some(self.settling.confirmed())
    }

    /// Asks our kernel how far the peer is.
    fn look(&mut self) {
        self.looked = Some(Instant::now());
        let (Ok(unsent), Ok(info)) = (socket::unsent_bytes(&self.stream), socket::tcp_info(&self.stream)) else {
            return;
        };
        let look = Look {
            // A FIN of ours counts as a byte.
            acknowledged: self.written.saturating_sub(unsent),
            unsent,
            window: info.snd_wnd.map(u64::from),
        };
        self.settling.note(self.began.elapsed().as_millis() as u64, look);
        let asks = self.options.acknowledge == Acknowledge::Settled && !self.failed && self.settling.wants_window();
        if asks != self.asking {
            self.asking = asks;
            // Where the kernel refuses that, the window is told with the next data.
            let _ = self.options.keepalive.ask_soon(&self.stream, asks);
        }
    }

    fn lost(&mut self, error: io::Error) -> Error {
        self.failed = true;
        self.ended.get_or_insert_with(Instant::now);
        if let Some(why) = self.hear_the_rest() {
            return self.unanswered(why, Failure::UnexpectedReply);
        }
        let event = Event::Failed {
            errno: Errno::from(&error),
            partial_bytes: 0,
        };
        if self.exchange.is_none() {
            self.look();
            let confirmed = self.settling.confirmed();
            self.watch
                .leaves_unconfirmed(confirmed.acknowledged.saturating_sub(confirmed.proven));
        }
        let told = self.watch.ended(&self.stream, &self.peer, event);
        Error::unavailable(told.verdict.sentence).because(error)
    }
}

/// Resolves when the peer has owed an answer for too long; never where none counts.
async fn overdue(exchange: &Option<Exchange>) -> String {
    match exchange {
        Some(exchange) => exchange.overdue().await,
        None => std::future::pending().await,
    }
}
