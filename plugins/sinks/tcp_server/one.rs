//! `clients = "one"`: one client at a time; others wait for it to leave, and are refused when it does not.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::plugin::{Confirmed, Delivery, LastAcknowledged, Refusal};
use aqueduct_framework::telemetry::Counter;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::super::connection::Connection;
use super::door::{Door, Newcomer, Terms, departed};
use super::queue::Queue;
use super::stall::Stall;

/// The client, or nobody.
pub(super) struct One {
    door: Door,
    terms: Rc<Terms>,
    client: Option<Connection>,
    /// Who came while somebody was there.
    queue: Queue,
    stall_timeout: Option<Duration>,
    stall: Stall,
    /// When to look whether it stalls.
    look: Option<Interval>,
    stalled: Counter,
}

impl One {
    pub(super) fn new(door: Door, terms: Rc<Terms>, seat_timeout: Duration, stall_timeout: Option<Duration>) -> Self {
        Self {
            stalled: door.context.counter("clients_stalled"),
            door,
            terms,
            client: None,
            queue: Queue::new(seat_timeout),
            stall_timeout,
            stall: Stall::new(stall_timeout),
            look: None,
        }
    }

    /// Waits for a client.
    pub(super) async fn open(&mut self) -> Result<()> {
        self.client = None;
        let address = self.door.open().await?;
        if self.queue.is_empty() {
            let waiting = format!("waiting for a client on {address}");
            self.door.say_coming("waiting", &waiting);
            self.door.context.say("state", waiting);
        }
        let (stream, peer) = self.door.client(&mut self.queue).await;
        let client = self
            .terms
            .connection(stream, &peer.to_string(), peer)
            .map_err(departed)?;
        let context = &self.door.context;
        context.say("state", format!("serving {peer}"));
        context.say("peer", peer.to_string());
        self.door.say_coming("client", &format!("{peer} is the client now"));
        self.client = Some(client);
        self.stall = Stall::new(self.stall_timeout);
        self.look = self.stall.look_every().map(|every| {
            let mut look = interval(every);
            look.set_missed_tick_behavior(MissedTickBehavior::Delay);
            look
        });
        Ok(())
    }

    /// Writes all of it, or, where answers count, what it takes now.
    pub(super) async fn write(&mut self, delivery: &mut Delivery) -> Result<()> {
        self.client()?.check().map_err(departed)?;
        if let Some(newcomer) = self.door.waiting() {
            self.queue_up(newcomer)?;
        }
        self.refuse_late();
        let left = delivery.wire().len();
        loop {
            let client = self.client.as_mut().ok_or_else(nobody)?;
            if client.push(delivery).map_err(departed)? || (client.answers() && delivery.wire().len() < left) {
                return Ok(());
            }
            tokio::select! {
                biased;
                writable = client.writable() => writable.map_err(departed)?,
                newcomer = self.door.newcomer() => self.queue_up(newcomer)?,
                () = due(&mut self.look) => self.look()?,
                () = self.queue.due() => self.refuse_late(),
            }
        }
    }

    /// Resolves when the client has gone.
    pub(super) async fn watch(&mut self) -> Error {
        loop {
            let Some(client) = &mut self.client else {
                return nobody();
            };
            let gone = tokio::select! {
                biased;
                gone = client.watch() => Err(departed(gone)),
                newcomer = self.door.newcomer() => self.queue_up(newcomer),
                () = due(&mut self.look) => self.look(),
                () = self.queue.due() => {
                    self.refuse_late();
                    Ok(())
                }
            };
            if let Err(gone) = gone {
                return gone;
            }
        }
    }

    pub(super) fn acknowledged_bytes(&self) -> u64 {
        self.client.as_ref().map_or(0, Connection::acknowledged_bytes)
    }

    pub(super) fn refused_bytes(&self) -> u64 {
        self.client.as_ref().map_or(0, Connection::refused_bytes)
    }

    pub(super) fn take_refusals(&mut self) -> Vec<Refusal> {
        self.client.as_mut().map(Connection::take_refusals).unwrap_or_default()
    }

    pub(super) async fn last_acknowledged(&mut self) -> LastAcknowledged {
        match &mut self.client {
            Some(client) => client.last_acknowledged(self.terms.linger).await,
            None => LastAcknowledged {
                bytes: 0,
                orderly: true,
            },
        }
    }

    pub(super) fn confirmed(&mut self) -> Option<Confirmed> {
        self.client.as_mut()?.confirmed()
    }

    pub(super) async fn finish(&mut self) -> Result<()> {
        match &mut self.client {
            Some(client) => client.finish(self.terms.linger).await,
            None => Ok(()),
        }
    }

    pub(super) async fn close(&mut self) -> Result<()> {
        self.door.close();
        match &mut self.client {
            Some(client) => client.close(self.terms.linger).await,
            None => Ok(()),
        }
    }

    /// Looks whether the client takes what waits for it.
    ///
    /// # Errors
    /// `unavailable` when it has taken nothing for too long, and loses its place.
    fn look(&mut self) -> Result<()> {
        let client = self.client.as_ref().ok_or_else(nobody)?;
        let (taken, waits) = client.taken_bytes();
        let Some(limit) = self.stall.look(Instant::now(), taken, waits) else {
            return Ok(());
        };
        self.stalled.add(1);
        let (peer, limit) = (client.peer(), humantime::format_duration(limit));
        let why = format!("{peer} is closed: it took nothing for stall_timeout = {limit} while bytes waited for it");
        Err(Error::unavailable(why).departed())
    }

    fn client(&mut self) -> Result<&mut Connection> {
        self.client.as_mut().ok_or_else(nobody)
    }

    /// Lets a second connection wait for the first to leave, which may have been nobody's client.
    ///
    /// # Errors
    /// `unavailable` when the first has gone.
    fn queue_up(&mut self, newcomer: Newcomer) -> Result<()> {
        self.queue.retain(|(stream, peer)| !self.door.is_probe(stream, *peer));
        if !self.door.is_probe(&newcomer.0, newcomer.1)
            && let Some((_, peer)) = self.queue.push(newcomer, Instant::now())
        {
            self.refuse(peer);
        }
        match self.client.as_mut().map(Connection::check) {
            Some(Err(gone)) => Err(departed(gone)),
            _ => Ok(()),
        }
    }

    /// Closes those who have waited for too long.
    fn refuse_late(&mut self) {
        while let Some((stream, peer)) = self.queue.late(Instant::now()) {
            if !self.door.is_probe(&stream, peer) {
                self.refuse(peer);
            }
        }
    }

    fn refuse(&self, peer: SocketAddr) {
        self.door.refuse(
            peer,
            "there is a client already, and frames go to one at a time (`clients` can change that)",
        );
    }
}

/// Resolves when it is time to look again; never without a limit. Cancel-safe.
async fn due(look: &mut Option<Interval>) {
    match look {
        Some(look) => {
            look.tick().await;
        }
        None => std::future::pending().await,
    }
}

fn nobody() -> Error {
    Error::unavailable("no client yet")
}
