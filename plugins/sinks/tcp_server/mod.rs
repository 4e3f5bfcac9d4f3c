//! The sink `tcp_server`: listens, and waits for its clients again whenever they have left.
//!
//! | `clients` | file | who gets what |
//! |---|---|---|
//! | `"one"` | `one.rs`, `queue.rs` | one client, everything, also what came while nobody was there |
//! | `"all"` | `all.rs`, `pace.rs` | everybody who is connected, at the speed of the slowest |
//! | `"named"` | `named.rs`, `welcome.rs`, `visit.rs` | everybody who introduces himself, everything, at his own speed, from where he stopped |
//!
//! Who a client is, is found out by `introduction.rs` and `guests.rs`, while it waits in `lobby.rs`; that nobody is served twice at once, by `seats.rs`; what of it he has, by `sent.rs`.

mod all;
mod config;
mod door;
mod guests;
mod introduction;
mod lobby;
mod named;
mod one;
mod pace;
mod queue;
mod roll;
mod seats;
mod sent;
mod stall;
#[cfg(test)]
mod tests;
mod visit;
mod welcome;

use std::rc::Rc;

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::plugin::{
    Acknowledgement, Confirmed, Context, Delivery, LastAcknowledged, Refusal, Sink, StoreReader, StoreUse,
};
use tokio::sync::Notify;

use crate::net::{Buffers, Listen, checked_to_listen};
use all::All;
use config::{Clients, Config};
use door::{Door, Terms};
use named::Named;
use one::One;

/// `localhost` and `*` listen twice.
const LISTENERS: u64 = 2;

/// The plugin.
pub(super) struct TcpServer {
    acknowledgement: Acknowledgement,
    /// Rung at every answer.
    heard: Option<Rc<Notify>>,
    serves: Serves,
}

enum Serves {
    One(Box<One>),
    All(All),
    Named(Named),
}

impl Sink for TcpServer {
    type Config = Config;
    const NAME: &'static str = "tcp_server";
    const SAMPLE: &'static str = include_str!("sample.toml");
    const LISTENS: &'static [&'static str] = &["listen"];

    fn new(config: Config, context: &Context) -> Result<Self> {
        config.check()?;
        let acknowledgement = config.acknowledge.with(config.resend_bytes, config.settle())?;
        let listen = Listen {
            address: checked_to_listen("listen", config.listen.clone())?,
            buffers: Buffers::new(config.receive_buffer_bytes, config.send_buffer_bytes),
        };
        let terms = Terms::new(&config, context)?;
        let heard = terms.reply.as_ref().map(|reply| reply.heard());
        let door = Door::new(listen, config.on_peer_fin(), context);
        let serves = match config.clients {
            Clients::One => Serves::One(Box::new(One::new(
                door,
                terms,
                config.seat_timeout(),
                config.stall_timeout(),
            ))),
            Clients::All => Serves::All(All::new(door, terms, &config)),
            Clients::Named => Serves::Named(Named::new(config, acknowledgement, door, terms)?),
        };
        Ok(Self {
            acknowledgement,
            heard,
            serves,
        })
    }

    fn store_use(&self) -> StoreUse {
        match &self.serves {
            Serves::One(_) | Serves::All(_) => StoreUse::Any,
            Serves::Named(named) => StoreUse::Cursors {
                at_least: named.known_clients(),
            },
        }
    }

    fn open_files(&self) -> u64 {
        let clients = match &self.serves {
            Serves::One(_) => 1,
            Serves::All(all) => all.max_clients(),
            Serves::Named(named) => named.max_connections(),
        };
        (clients as u64).saturating_add(LISTENERS + 1)
    }

    async fn serve(&mut self, store: &StoreReader) -> Result<()> {
        match &mut self.serves {
            Serves::Named(named) => named.serve(store).await,
            Serves::One(_) | Serves::All(_) => Err(Error::fatal("only `clients = \"named\"` reads the store itself")),
        }
    }

    async fn open(&mut self) -> Result<()> {
        match &mut self.serves {
            Serves::One(one) => one.open().await,
            Serves::All(all) => all.open().await,
            Serves::Named(_) => Err(serves_itself()),
        }
    }

    async fn write(&mut self, delivery: &mut Delivery) -> Result<()> {
        match &mut self.serves {
            Serves::One(one) => one.write(delivery).await,
            Serves::All(all) => all.write(delivery).await,
            Serves::Named(_) => Err(serves_itself()),
        }
    }

    async fn watch(&mut self) -> Error {
        match &mut self.serves {
            Serves::One(one) => one.watch().await,
            Serves::All(all) => all.watch().await,
            Serves::Named(_) => serves_itself(),
        }
    }

    fn acknowledgement(&self) -> Acknowledgement {
        self.acknowledgement
    }

    fn acknowledged_signal(&self) -> Option<Rc<Notify>> {
        self.heard.clone()
    }

    fn refused_bytes(&self) -> u64 {
        match &self.serves {
            Serves::One(one) => one.refused_bytes(),
            Serves::All(_) | Serves::Named(_) => 0,
        }
    }

    fn take_refusals(&mut self) -> Vec<Refusal> {
        match &mut self.serves {
            Serves::One(one) => one.take_refusals(),
            Serves::All(_) | Serves::Named(_) => Vec::new(),
        }
    }

    fn acknowledged_bytes(&self) -> u64 {
        match &self.serves {
            Serves::One(one) => one.acknowledged_bytes(),
            Serves::All(_) | Serves::Named(_) => 0,
        }
    }

    async fn last_acknowledged(&mut self) -> LastAcknowledged {
        match &mut self.serves {
            Serves::One(one) => one.last_acknowledged().await,
            Serves::All(all) => all.last_acknowledged(),
            Serves::Named(_) => LastAcknowledged {
                bytes: 0,
                orderly: true,
            },
        }
    }

    fn confirmed(&mut self) -> Option<Confirmed> {
        match &mut self.serves {
            Serves::One(one) => one.confirmed(),
            Serves::All(all) => Some(all.confirmed()),
            Serves::Named(_) => None,
        }
    }

    async fn finish(&mut self) -> Result<()> {
        match &mut self.serves {
            Serves::One(one) => one.finish().await,
            Serves::All(all) => all.finish().await,
            Serves::Named(_) => Ok(()),
        }
    }

    async fn close(&mut self) -> Result<()> {
        match &mut self.serves {
            Serves::One(one) => one.close().await,
            Serves::All(all) => all.close().await,
            Serves::Named(_) => Ok(()),
        }
    }
}

fn serves_itself() -> Error {
    Error::fatal(
        "`clients = \"named\"` is served from the spill store in front, and takes no batches; put one directly in front of it",
    )
}
