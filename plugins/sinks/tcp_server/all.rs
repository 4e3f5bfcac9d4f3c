//! `clients = "all"`: every client that is connected gets every frame, at the speed of the slowest.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::plugin::{Confirmed, Delivery, LastAcknowledged};
use aqueduct_framework::telemetry::{Counter, Gauge};
use futures_util::future;
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::super::connection::Connection;
use super::config::Config;
use super::door::{Door, Newcomer, Terms, departed};
use super::pace::{Place, due_ms, holds_up, slowest, stalls_at_ms};
use super::queue::Queue;

/// The clients, of whom there may be none.
pub(super) struct All {
    door: Door,
    terms: Rc<Terms>,
    max_clients: usize,
    /// Milliseconds for which a client may take nothing while others wait for it.
    lag_limit_ms: u64,
    /// For which it may take nothing while something waits for it; none: as long as it likes.
    stall_ms: Option<u64>,
    members: Vec<Member>,
    /// Who left last, and its place.
    gone: Option<(Error, Option<usize>)>,
    began: Instant,
    clients: Gauge,
    too_slow: Counter,
    /// Wire bytes that were written to everybody since `open`.
    position: u64,
    /// How far the client that left last had come.
    left: Confirmed,
    stalled: Counter,
}

struct Member {
    connection: Connection,
    peer: SocketAddr,
    /// What it has to take of the batch that is being written.
    copy: Option<Delivery>,
    place: Place,
    /// Where in what is written to all its first byte stands; none before there was one.
    first: Option<u64>,
}

/// What a wait ended with.
enum Event {
    Newcomer(Newcomer),
    /// The socket of this one has room, or it has gone.
    Moved(usize, Result<()>),
    /// Somebody has held up the others for too long.
    Due(u64),
}

impl All {
    pub(super) fn new(door: Door, terms: Rc<Terms>, config: &Config) -> Self {
        let context = &door.context;
        let (clients, too_slow) = (context.gauge("clients"), context.counter("clients_too_slow"));
        context.counter("connects");
        Self {
            stalled: context.counter("clients_stalled"),
            door,
            terms,
            max_clients: config.max_clients(),
            lag_limit_ms: config.lag_limit().as_millis() as u64,
            stall_ms: config.stall_timeout().map(|timeout| timeout.as_millis() as u64),
            members: Vec::new(),
            gone: None,
            began: Instant::now(),
            clients,
            too_slow,
            position: 0,
            left: Confirmed::default(),
        }
    }

    pub(super) fn max_clients(&self) -> usize {
        self.max_clients
    }

    /// Waits until a client is there.
    pub(super) async fn open(&mut self) -> Result<()> {
        let address = self.door.open().await?;
        (self.position, self.left) = (0, Confirmed::default());
        self.members.iter_mut().for_each(|member| member.first = None);
        while self.members.is_empty() {
            let waiting = format!("waiting for clients on {address}");
            self.door.say_coming("waiting", &waiting);
            self.door.context.say("state", waiting);
            let newcomer = self.door.client(&mut Queue::new(Duration::ZERO)).await;
            self.admit(newcomer);
        }
        self.say();
        Ok(())
    }

    /// Writes all of it to everybody who was there at its start.
    pub(super) async fn write(&mut self, delivery: &mut Delivery) -> Result<()> {
        self.gather();
        self.gone = self.gone.take().map(|(gone, _)| (gone, None));
        let (total, mut advanced) = (delivery.wire().len(), 0);
        let now_ms = self.now_ms();
        for member in &mut self.members {
            member.copy = Some(delivery.share());
            member.first.get_or_insert(self.position);
            member.place.begin(now_ms);
        }
        loop {
            self.push();
            let (to, gone) = match slowest(self.places()) {
                Some(least) => (least, None),
                // Who comes next goes on where the last of them stood.
                None => self.last_gone(advanced),
            };
            delivery.advance(to - advanced);
            self.position += (to - advanced) as u64;
            advanced = to;
            match gone {
                Some(gone) => return Err(departed(gone)),
                None if to == total => {
                    self.members.iter_mut().for_each(|member| member.copy = None);
                    return Ok(());
                }
                None => {}
            }
            let event = self.wait(total).await;
            self.handle(event, total);
        }
    }

    /// Resolves when the last client has gone.
    pub(super) async fn watch(&mut self) -> Error {
        loop {
            let event = self.wait(0).await;
            self.handle(event, 0);
            if self.members.is_empty() {
                return self.gone.take().map_or_else(nobody, |(gone, _)| departed(gone));
            }
        }
    }

    pub(super) async fn close(&mut self) -> Result<()> {
        self.door.close();
        let linger = self.terms.linger;
        let members = self.members.iter_mut();
        let closed = future::join_all(members.map(|member| member.connection.close(linger))).await;
        closed.into_iter().collect()
    }

    /// How far the one is that is behind all others; in the end the one who left last.
    pub(super) fn confirmed(&mut self) -> Confirmed {
        let position = self.position;
        let members = self.members.iter_mut().map(|member| member.confirmed(position));
        members.reduce(Confirmed::least).unwrap_or(self.left)
    }

    pub(super) fn last_acknowledged(&mut self) -> LastAcknowledged {
        LastAcknowledged {
            bytes: self.confirmed().settled,
            orderly: false,
        }
    }

    pub(super) async fn finish(&mut self) -> Result<()> {
        let linger = self.terms.linger;
        let members = self.members.iter_mut();
        let finished = future::join_all(members.map(|member| member.connection.finish(linger))).await;
        finished.into_iter().collect()
    }

    /// Before a batch: lets those in who have connected, and those go who have left.
    fn gather(&mut self) {
        while let Some(newcomer) = self.door.waiting() {
            self.admit_living(newcomer);
        }
        for index in (0..self.members.len()).rev() {
            if let Err(gone) = self.members[index].connection.check() {
                self.remove(index, gone);
            }
        }
    }

    /// Where the client that left last stood, and why it left.
    fn last_gone(&mut self, advanced: usize) -> (usize, Option<Error>) {
        let (gone, done) = self.gone.take().unwrap_or_else(|| (nobody(), None));
        (done.unwrap_or(advanced), Some(gone))
    }

    fn admit_living(&mut self, (stream, peer): Newcomer) {
        if !self.door.is_probe(&stream, peer) {
            self.admit((stream, peer));
        }
    }

    fn admit(&mut self, (stream, peer): Newcomer) {
        if self.members.len() >= self.max_clients {
            let why = format!(
                "max_clients = {} are there; raise it if they are all wanted",
                self.max_clients
            );
            return self.door.refuse(peer, &why);
        }
        let connection = match self.terms.connection(stream, &peer.to_string(), peer) {
            Ok(connection) => connection,
            Err(gone) => return self.terms.farewell(&gone),
        };
        let place = Place::from_the_next(self.now_ms());
        self.members.push(Member {
            connection,
            peer,
            copy: None,
            place,
            first: None,
        });
        self.door.context.counter("connects").add(1);
        let clients = self.members.len();
        let coming = format!("{peer} is a client now, one of {clients}: it gets what comes from here on");
        self.door.say_coming("client", &coming);
        self.say();
    }

    /// Writes what the sockets take now.
    fn push(&mut self) {
        let now_ms = self.now_ms();
        for index in (0..self.members.len()).rev() {
            let Member {
                connection,
                copy: Some(copy),
                place,
                ..
            } = &mut self.members[index]
            else {
                continue;
            };
            let before = copy.wire().len();
            let pushed = connection.push(copy);
            place.took(before - copy.wire().len(), now_ms);
            if let Err(gone) = pushed {
                self.remove(index, gone);
            }
        }
    }

    /// Waits for whatever happens next, while `total` bytes are being written. Cancel-safe.
    async fn wait(&mut self, total: usize) -> Event {
        let lag = due_ms(self.places(), total, self.lag_limit_ms);
        let stall = (self.stall_ms).and_then(|limit_ms| stalls_at_ms(self.places(), total, limit_ms));
        let due = lag.into_iter().chain(stall).min().filter(|_| total > 0);
        let until = due.map(|due| self.began + Duration::from_millis(due));
        let members = self.members.iter_mut().enumerate().map(|(index, member)| {
            let writes = member.place.done().is_some_and(|done| done < total);
            async move {
                let moved = if writes {
                    member.connection.writable().await
                } else {
                    Err(member.connection.watch().await)
                };
                (index, moved)
            }
        });
        let mut moves: FuturesUnordered<_> = members.collect();
        let overdue = async {
            match until {
                Some(until) => tokio::time::sleep_until(until.into()).await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            biased;
            newcomer = self.door.newcomer() => Event::Newcomer(newcomer),
            Some((index, moved)) = moves.next() => Event::Moved(index, moved),
            () = overdue => Event::Due(due.unwrap_or(0)),
        }
    }

    /// Does what follows from it.
    fn handle(&mut self, event: Event, total: usize) {
        match event {
            Event::Newcomer(newcomer) => self.admit_living(newcomer),
            Event::Moved(_, Ok(())) => {}
            Event::Moved(index, Err(gone)) => self.remove(index, gone),
            Event::Due(due_ms) => {
                let waited_for = self::due_ms(self.places(), total, self.lag_limit_ms).is_some_and(|lag| lag <= due_ms);
                for index in (0..self.members.len()).rev() {
                    let place = self.members[index].place;
                    if waited_for && holds_up(place, total, due_ms, self.lag_limit_ms) {
                        self.close_late(index);
                    } else if let Some(limit_ms) = self.stall_ms
                        && holds_up(place, total, due_ms, limit_ms)
                    {
                        self.close_stalled(index, limit_ms);
                    }
                }
            }
        }
    }

    /// There is one at least who waits for it, so it is never the last.
    fn close_late(&mut self, index: usize) {
        let peer = self.members.swap_remove(index).peer;
        self.too_slow.add(1);
        let limit = humantime::format_duration(Duration::from_millis(self.lag_limit_ms));
        tracing::warn!(actor = %self.door.context.actor, total = self.too_slow.get(), "{peer} is closed: it took nothing for lag_limit = {limit} while others waited for it");
        self.say();
    }

    /// When it was the last, the actor tells of it, and whoever connects next goes on at its place.
    fn close_stalled(&mut self, index: usize, limit_ms: u64) {
        self.stalled.add(1);
        let peer = self.members[index].peer;
        let limit = humantime::format_duration(Duration::from_millis(limit_ms));
        let why = format!("{peer} is closed: it took nothing for stall_timeout = {limit} while bytes waited for it");
        if self.members.len() > 1 {
            tracing::warn!(actor = %self.door.context.actor, total = self.stalled.get(), "{why}");
            self.members.swap_remove(index);
            self.say();
        } else {
            self.remove(index, Error::unavailable(why));
        }
    }

    fn remove(&mut self, index: usize, gone: Error) {
        let mut member = self.members.swap_remove(index);
        self.left = member.confirmed(self.position);
        let place = member.place;
        // That the last one leaves is told by the actor.
        if !self.members.is_empty() {
            self.terms.farewell(&gone);
        }
        self.gone = Some((gone, place.done()));
        self.say();
    }

    fn say(&self) {
        let count = self.members.len();
        self.clients.set(count as u64);
        let (first, more) = (self.members.first(), count.saturating_sub(1));
        let text = match (first, more) {
            (None, _) => return,
            (Some(first), 0) => format!("serving {}", first.peer),
            (Some(first), more) => format!("serving {} and {more} more", first.peer),
        };
        self.door.context.say("state", text);
    }

    fn places(&self) -> impl Iterator<Item = Place> + Clone {
        self.members.iter().map(|member| member.place)
    }

    fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }
}

impl Member {
    /// How far it is in what is written to all; with nothing for it yet, as far as everybody.
    fn confirmed(&mut self, position: u64) -> Confirmed {
        let first = self.first.unwrap_or(position);
        let own = self.connection.confirmed().unwrap_or_default();
        Confirmed {
            settled: first + own.settled,
            read: first + own.read,
            acknowledged: first + own.acknowledged,
            proven: first + own.proven,
        }
    }
}

fn nobody() -> Error {
    Error::unavailable("no client yet")
}
