//! One TCP connection that is written: what the sinks `tcp_client` and `tcp_server` do with a connection once they have it.
//!
//! What the peer sends is read, or its sends would fill up, and closing with bytes unread would be an RST that destroys what it has not read yet. With
//! `acknowledge = "reply"` it is taken as answers, and thrown away otherwise.

mod hearing;
#[cfg(test)]
mod tests;

use std::io;
use std::rc::Rc;
use std::time::Duration;

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::failure::Failure;
use aqueduct_framework::flight::{Errno, Event};
use aqueduct_framework::plugin::{Acknowledgement, Context, Delivery, LastAcknowledged, Refusal};
use aqueduct_framework::telemetry::Counter;
use aqueduct_framework::units::ByteSize;
use aqueduct_sys::socket;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;

use super::reply::{Exchange, Reply, wrong};
use super::watch::Watch;
use crate::net::{Flight, Keepalive};

/// A write up to this is handed over whole; a longer one is cut into pieces of it. Half a read, and no power of two: a send of exactly
/// 65,536 bytes costs about a quarter more CPU than one of 65,000 on loopback, and pieces of 64,000 cost a sixth more CPU per GB than these.
const PIECE_BYTES: usize = 128_000;

/// From here on a write is worth handing over whole again.
const WHOLE_BYTES: usize = 1024 * 1024;

/// The pause between two looks at what the peer's kernel has not acknowledged at the close.
const CLOSE_PAUSE: Duration = Duration::from_millis(1);

/// What a FIN of the peer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum OnPeerFin {
    /// The peer has gone: connect again. Noticed before a write, so that nothing is written to nobody.
    #[default]
    Reconnect,
    /// The peer only sends nothing more, and still reads.
    Continue,
}

/// When a frame counts as delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Acknowledge {
    /// When our kernel has taken it.
    #[default]
    Written,
    /// When the peer's kernel has acknowledged it.
    Kernel,
    /// When the peer's application has answered it, as `reply` says.
    Reply,
}

impl Acknowledge {
    /// What it asks of the sender.
    ///
    /// # Errors
    /// When bytes are to be sent again of which nobody keeps track.
    pub(super) fn with(self, resend_bytes: ByteSize) -> Result<Acknowledgement> {
        match (self, resend_bytes.bytes()) {
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

pub(super) struct Connection {
    stream: TcpStream,
    peer: String,
    on_fin: OnPeerFin,
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
        on_fin: OnPeerFin,
        keepalive: Keepalive,
        flight: &Rc<Flight>,
        context: &Context,
    ) -> Self {
        // Without it a peer that vanishes is missed only later; there is nobody to tell who could do something about it.
        let _ = keepalive.apply(&stream);
        Self {
            watch: Watch::new(who, flight.clone(), context),
            stream,
            peer,
            on_fin,
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
        std::future::pending().await
    }

    /// Bytes that the peer's application has answered, or its kernel acknowledged; also told of a connection that was reset, as long as this lives.
    pub(super) fn acknowledged_bytes(&self) -> u64 {
        if let Some(exchange) = &self.exchange {
            return exchange.answered_bytes();
        }
        // What cannot be asked counts as not acknowledged: to send again is the lesser evil.
        socket::unsent_bytes(&self.stream).map_or(0, |unsent| self.written.saturating_sub(unsent))
    }

    /// Where the frames end that a missing or wrong answer was about; no further than what is acknowledged otherwise.
    pub(super) fn refused_bytes(&self) -> u64 {
        self.refused_bytes
    }

    /// What the peer's application has refused for good since it was asked last.
    pub(super) fn take_refusals(&mut self) -> Vec<Refusal> {
        self.exchange.as_mut().map(Exchange::take_refusals).unwrap_or_default()
    }

    /// The same in the end. Answers that have come before it count. A peer that has only finished sending still acknowledges what is under way, and has `linger` for it: what it takes so
    /// must not be sent again.
    pub(super) async fn last_acknowledged(&mut self, linger: Duration) -> LastAcknowledged {
        if self.exchange.is_some() {
            // Why it ended was told.
            let _ = self.hear_the_rest();
            return LastAcknowledged {
                bytes: self.acknowledged_bytes(),
                orderly: true,
            };
        }
        // Whether it came to an end in time shows below.
        let _ = tokio::time::timeout(linger, async {
            loop {
                self.failed |= socket::peer_closed(&self.stream).is_err();
                if self.failed || self.acknowledged_bytes() == self.written {
                    break;
                }
                tokio::time::sleep(CLOSE_PAUSE).await;
            }
        })
        .await;
        let bytes = self.acknowledged_bytes();
        LastAcknowledged {
            bytes,
            orderly: !self.failed && bytes == self.written,
        }
    }

    /// Says goodbye and waits, at most `linger`, until the peer's kernel has everything.
    ///
    /// # Errors
    /// When it has not, with the number of bytes.
    pub(super) async fn close(&mut self, linger: Duration) -> Result<()> {
        let said = tokio::time::timeout(linger, async {
            self.stream.shutdown().await.map_err(|error| self.lost(error))?;
            while !self.finished && socket::unsent_bytes(&self.stream).map_err(|error| self.lost(error))? > 0 {
                // A FIN is the peer's consent here.
                let _ = self.hear();
                tokio::time::sleep(CLOSE_PAUSE).await;
            }
            Ok(())
        });
        said.await.unwrap_or_else(|_| {
            let bytes = socket::unsent_bytes(&self.stream).unwrap_or(0);
            Err(Error::unavailable(format!(
                "{} had not taken the last {bytes} bytes after {}; raise `linger` if it needs longer",
                self.peer,
                humantime::format_duration(linger)
            )))
        })
    }

    fn peer_finished(&mut self) -> Result<()> {
        self.finished = true;
        match self.on_fin {
            OnPeerFin::Continue => Ok(()),
            OnPeerFin::Reconnect => {
                let told = self
                    .watch
                    .ended(&self.stream, &self.peer, Event::Finished { partial_bytes: 0 });
                Err(wrong(told.verdict.sentence, Failure::PeerClosed))
            }
        }
    }

    fn lost(&mut self, error: io::Error) -> Error {
        self.failed = true;
        if let Some(why) = self.hear_the_rest() {
            return self.unanswered(why, Failure::UnexpectedReply);
        }
        let event = Event::Failed {
            errno: Errno::from(&error),
            partial_bytes: 0,
        };
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
