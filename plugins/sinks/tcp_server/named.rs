//! `clients = "named"`: everybody who introduces himself gets everything, in order, at his own speed, from where he stopped.

use std::rc::Rc;
use std::time::Duration;

use aqueduct_framework::error::{Error, Reaction, Result};
use aqueduct_framework::plugin::{Acknowledgement, Context, Start, StoreReader};
use aqueduct_framework::telemetry::Counter;
use aqueduct_sys::socket;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

use super::config::{Config, NewClients};
use super::door::{Door, Newcomer, Terms};
use super::guests::Guests;
use super::lobby::Lobby;
use super::roll::Roll;
use super::seats::Seats;
use super::welcome::welcome;

/// How often `status` learns how far behind each client is.
const UPDATE_EVERY: Duration = Duration::from_secs(1);

/// The clients.
pub(super) struct Named {
    door: Door,
    terms: Rc<Terms>,
    guests: Rc<Guests>,
    max_clients: usize,
    introduction_timeout: Duration,
    start: Start,
    acknowledgement: Acknowledgement,
}

/// What every visit needs.
pub(super) struct House {
    pub(super) store: StoreReader,
    pub(super) terms: Rc<Terms>,
    pub(super) guests: Rc<Guests>,
    pub(super) seats: Rc<Seats>,
    pub(super) lobby: Rc<Lobby>,
    pub(super) probes: Counter,
    pub(super) roll: Roll,
    pub(super) introduction_timeout: Duration,
    pub(super) start: Start,
    pub(super) acknowledgement: Acknowledgement,
    pub(super) context: Context,
}

impl Named {
    /// # Errors
    /// When nobody could introduce himself.
    pub(super) fn new(config: Config, acknowledgement: Acknowledgement, door: Door, terms: Rc<Terms>) -> Result<Self> {
        Ok(Self {
            max_clients: config.max_clients(),
            introduction_timeout: config.introduction_timeout(),
            start: match config.new_clients.unwrap_or_default() {
                NewClients::Oldest => Start::Oldest,
                NewClients::Newest => Start::Newest,
            },
            guests: Rc::new(Guests::new(config.tokens.unwrap_or_default(), config.any_name)?),
            acknowledgement,
            door,
            terms,
        })
    }

    /// Those that introduce themselves come on top of those that are served.
    pub(super) fn max_connections(&self) -> usize {
        self.max_clients.saturating_mul(2)
    }

    /// Clients that have a token.
    pub(super) fn known_clients(&self) -> u32 {
        let names = self.guests.names().map_or(0, Iterator::count);
        u32::try_from(names).unwrap_or(u32::MAX)
    }

    /// Serves until the pipeline ends.
    ///
    /// # Errors
    /// `fatal` when the address cannot be listened on, or the store has ended.
    pub(super) async fn serve(&mut self, store: &StoreReader) -> Result<()> {
        let house = tokio::select! {
            () = store.stopping() => return Ok(()),
            house = self.house(store) => house?,
        };
        self.expect_everybody(store).await?;
        let mut visits = JoinSet::new();
        let mut stopping = std::pin::pin!(store.stopping());
        let mut update = interval(UPDATE_EVERY);
        update.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = &mut stopping => break,
                Some(ended) = visits.join_next() => ended_well(ended)?,
                _ = update.tick() => house.roll.update(&store.cursors().await?),
                newcomer = self.door.newcomer() => self.admit(newcomer, &house, &mut visits),
            }
        }
        self.door.close();
        while let Some(ended) = visits.join_next().await {
            ended_well(ended)?;
        }
        Ok(())
    }

    /// Those with a token have a cursor from the first start on, so that the store keeps for them what comes before they do. Cursors of others are told of.
    async fn expect_everybody(&self, store: &StoreReader) -> Result<()> {
        let Some(names) = self.guests.names() else {
            return Ok(());
        };
        for cursor in store.cursors().await? {
            if !names.clone().any(|name| name == cursor.name) {
                let (name, waiting) = (&cursor.name, cursor.waiting_frames);
                tracing::warn!(actor = %self.door.context.actor, "{name} has a cursor in the store and no token here: {waiting} frames wait for it and nobody will fetch them, and it keeps a place among max_cursors; give it a token again, or stop the pipeline and run `aqueduct spill DIRECTORY forget {name}`");
            }
        }
        if self.start == Start::Oldest {
            for name in names {
                let made = store.cursor(name, self.start).await;
                made.map_err(|error| match error.reaction() {
                    Reaction::Reject => Error::fatal(format!("no cursor for {name}")).because(error),
                    _ => error,
                })?;
            }
        }
        Ok(())
    }

    async fn house(&mut self, store: &StoreReader) -> Result<Rc<House>> {
        let address = self.door.open().await?;
        let context = self.door.context.clone();
        Ok(Rc::new(House {
            store: store.clone(),
            terms: self.terms.clone(),
            guests: self.guests.clone(),
            seats: Seats::new(self.max_clients),
            lobby: Rc::default(),
            probes: context.counter("probes"),
            roll: Roll::new(&context, address),
            introduction_timeout: self.introduction_timeout,
            start: self.start,
            acknowledgement: self.acknowledgement,
            context,
        }))
    }

    /// Lets somebody in to introduce himself: as many may be about that as may be served. Then the one that has been silent for longest makes room, so that
    /// those who know no token keep nobody out.
    fn admit(&self, (stream, peer): Newcomer, house: &Rc<House>, visits: &mut JoinSet<Result<()>>) {
        // Who introduces himself may finish sending with it.
        if socket::unread_bytes(&stream).unwrap_or(0) == 0 && self.door.is_probe(&stream, peer) {
            return;
        }
        if visits.len() >= self.max_connections() && !house.lobby.dismiss_oldest() {
            let why = format!(
                "twice max_clients = {} connections are open; raise it if they are all wanted",
                self.max_clients
            );
            return self.door.refuse(peer, &why);
        }
        visits.spawn_local(welcome(house.clone(), house.lobby.enter(), (stream, peer)));
    }
}

/// A panic in a visit is one of the sink.
fn ended_well(ended: Result<Result<()>, JoinError>) -> Result<()> {
    match ended {
        Ok(ended) => ended,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Ok(()),
    }
}
