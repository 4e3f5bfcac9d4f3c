//! `clients = "one"`: one client at a time; others are refused while it is there.

use std::net::SocketAddr;
use std::rc::Rc;

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::plugin::{Delivery, LastAcknowledged, Refusal};

use super::super::connection::Connection;
use super::door::{Door, Newcomer, Terms};

/// The client, or nobody.
pub(super) struct One {
    door: Door,
    terms: Rc<Terms>,
    client: Option<Connection>,
    /// Came while its predecessor was found gone.
    next: Option<Newcomer>,
}

impl One {
    pub(super) fn new(door: Door, terms: Rc<Terms>) -> Self {
        Self {
            door,
            terms,
            client: None,
            next: None,
        }
    }

    /// Waits for a client.
    pub(super) async fn open(&mut self) -> Result<()> {
        self.client = None;
        let address = self.door.open().await?;
        let (stream, peer) = match self.next.take() {
            Some(next) => next,
            None => self.wait(&address).await,
        };
        let context = &self.door.context;
        let client = self.terms.connection(stream, &peer.to_string(), peer)?;
        context.say("state", format!("serving {peer}"));
        context.say("peer", peer.to_string());
        tracing::info!(actor = %context.actor, "{peer} is the client now");
        self.client = Some(client);
        Ok(())
    }

    async fn wait(&self, address: &str) -> Newcomer {
        let context = &self.door.context;
        context.say("state", format!("waiting for a client on {address}"));
        tracing::info!(actor = %context.actor, "waiting for a client on {address}");
        self.door.newcomer().await
    }

    /// Writes all of it, or, where answers count, what it takes now.
    pub(super) async fn write(&mut self, delivery: &mut Delivery) -> Result<()> {
        self.client()?.check()?;
        if let Some(newcomer) = self.door.waiting() {
            self.turn_away(newcomer)?;
        }
        let left = delivery.wire().len();
        loop {
            let client = self.client.as_mut().ok_or_else(nobody)?;
            if client.push(delivery)? || (client.answers() && delivery.wire().len() < left) {
                return Ok(());
            }
            let newcomer = tokio::select! {
                biased;
                writable = client.writable() => { writable?; continue }
                newcomer = self.door.newcomer() => newcomer,
            };
            self.turn_away(newcomer)?;
        }
    }

    /// Resolves when the client has gone.
    pub(super) async fn watch(&mut self) -> Error {
        loop {
            let Some(client) = &mut self.client else {
                return nobody();
            };
            let newcomer = tokio::select! {
                biased;
                gone = client.watch() => return gone,
                newcomer = self.door.newcomer() => newcomer,
            };
            if let Err(gone) = self.turn_away(newcomer) {
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

    pub(super) async fn close(&mut self) -> Result<()> {
        self.door.close();
        match &mut self.client {
            Some(client) => client.close(self.terms.linger).await,
            None => Ok(()),
        }
    }

    fn client(&mut self) -> Result<&mut Connection> {
        self.client.as_mut().ok_or_else(nobody)
    }

    /// Closes a second client at once, unless the first turns out to have gone: then it is the next.
    ///
    /// # Errors
    /// `unavailable` when the first has gone.
    fn turn_away(&mut self, (stream, peer): (tokio::net::TcpStream, SocketAddr)) -> Result<()> {
        if let Some(Err(gone)) = self.client.as_mut().map(Connection::check) {
            self.next = Some((stream, peer));
            return Err(gone);
        }
        self.door.refuse(
            peer,
            "there is a client already, and frames go to one at a time (`clients` can change that)",
        );
        Ok(())
    }
}

fn nobody() -> Error {
    Error::unavailable("no client yet")
}
