//! The end of a connection: what either side's goodbye says, and what counts as delivered then.

use std::time::{Duration, Instant};

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::failure::Failure;
use aqueduct_framework::flight::Event;
use aqueduct_framework::plugin::LastAcknowledged;
use aqueduct_sys::socket;
use tokio::io::AsyncWriteExt;

use super::super::reply::wrong;
use super::{Acknowledge, Connection, OnPeerFin};

/// The pause between two looks while the peer's goodbye is waited for.
const GOODBYE_PAUSE: Duration = Duration::from_millis(10);

/// The pause between two looks at what the peer's kernel has not acknowledged at the close.
const CLOSE_PAUSE: Duration = Duration::from_millis(1);

/// How a connection ended.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Ended {
    /// It has outlived some of what was written on it.
    pub(in super::super) settled: bool,
    /// How old it was.
    pub(in super::super) age: Duration,
    /// How long ago the first byte had been written then; its age where none was.
    pub(in super::super) since_first_write: Duration,
}

impl Connection {
    /// What counts as delivered when the connection has ended. Answers that came before the end count. A peer that has only
    /// finished sending still acknowledges what is under way, and has `linger` for it: what it takes so must not be sent again.
    pub(in super::super) async fn last_acknowledged(&mut self, linger: Duration) -> LastAcknowledged {
        if self.exchange.is_some() {
            // Why it ended was told.
            let _ = self.hear_the_rest();
            return LastAcknowledged {
                bytes: self.acknowledged_bytes(),
                orderly: true,
            };
        }
        let kernel = self.options.acknowledge == Acknowledge::Kernel;
        let left = self.finished && !self.failed;
        let trusted = self.options.invited || (self.trusts_fin && !self.settling.has_outlived());
        if kernel || (left && trusted) {
            self.await_acknowledgement(linger).await;
        }
        let bytes = self.acknowledged_bytes();
        self.look();
        if self.finished && !self.failed {
            self.settling.left(kernel || trusted);
            self.look();
        }
        LastAcknowledged {
            bytes: if kernel {
                bytes
            } else {
                self.settling.confirmed().settled
            },
            orderly: kernel && !self.failed && bytes == self.written,
        }
    }

    /// Waits, at most `linger`, until the peer's kernel has everything. What it takes from then on shows nowhere.
    async fn await_acknowledgement(&mut self, linger: Duration) {
        // Whether it came to an end in time shows in the figures.
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
    }

    /// Says goodbye and waits, at most `linger`, until the peer has confirmed everything, by its own goodbye at best.
    ///
    /// # Errors
    /// `unavailable` when the peer has gone otherwise.
    pub(in super::super) async fn finish(&mut self, linger: Duration) -> Result<()> {
        self.said_goodbye = true;
        self.settling.ends();
        let confirmed = tokio::time::timeout(linger, async {
            self.stream.shutdown().await.map_err(|error| self.lost(error))?;
            while !self.finished && self.settling.confirmed().settled < self.written {
                tokio::select! {
                    readable = self.stream.readable() => {
                        readable.map_err(|error| self.lost(error))?;
                        self.hear()?;
                    }
                    () = tokio::time::sleep(GOODBYE_PAUSE) => {}
                }
                self.look();
            }
            Ok(())
        });
        // What is not confirmed by then is given back, or counted.
        confirmed.await.unwrap_or(Ok(()))
    }

    /// Nothing counts as delivered until the connection is so old.
    pub(in super::super) fn on_probation(&mut self, age: Duration) {
        self.settling.on_probation(age.as_millis() as u64);
    }

    /// Where the peer ends the connection before any of it is settled, that says that it has read everything. By itself it does
    /// not on a connection that we opened: a proxy has read what it can no longer pass on. One that has lived on without a
    /// word of ours, and ends as soon as it has one, is a server that closes after each message.
    pub(in super::super) fn trust_fin(&mut self) {
        self.trusts_fin = true;
    }

    /// How the peer or the network ended it; none while it lives, and where we have said goodbye first.
    pub(in super::super) fn ended(&self) -> Option<Ended> {
        let ended = self.ended.filter(|_| !self.said_goodbye)?;
        Some(Ended {
            settled: self.settling.has_outlived(),
            age: ended - self.began,
            since_first_write: ended - self.first_write.unwrap_or(self.began),
        })
    }

    /// Waits, at most `linger`, until all that was written is acknowledged, or answered where that counts. Cancel-safe.
    ///
    /// # Errors
    /// `unavailable` when the peer has gone.
    pub(in super::super) async fn settle(&mut self, linger: Duration) -> Result<()> {
        if self.options.acknowledge == Acknowledge::Settled {
            return self.finish(linger).await;
        }
        let until = tokio::time::Instant::now() + linger;
        while self.acknowledged_bytes() < self.written && tokio::time::Instant::now() < until {
            tokio::select! {
                biased;
                gone = self.watch() => return Err(gone),
                () = tokio::time::sleep(CLOSE_PAUSE) => {}
            }
        }
        Ok(())
    }

    /// Says goodbye and waits, at most `linger`, until the peer's kernel has everything.
    ///
    /// # Errors
    /// When it has not, with the number of bytes.
    pub(in super::super) async fn close(&mut self, linger: Duration) -> Result<()> {
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

    pub(super) fn peer_finished(&mut self) -> Result<()> {
        self.finished = true;
        self.ended.get_or_insert_with(Instant::now);
        if self.said_goodbye {
            self.look();
            self.settling.left(true);
            return Ok(());
        }
        match self.options.on_fin {
            OnPeerFin::Continue => Ok(()),
            OnPeerFin::Reconnect => {
                let told = self
                    .watch
                    .ended(&self.stream, &self.peer, Event::Finished { partial_bytes: 0 });
                Err(wrong(told.verdict.sentence, Failure::PeerClosed))
            }
        }
    }
}
