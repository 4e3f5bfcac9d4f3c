//! The machine that decides about the named cursors of a store: what each reads next, what of them becomes durable, what may be deleted, and who is moved
//! forward when the store retains no more. Pure: time is an argument, effects are returned. The writing is the [`Fifo`](super::fifo::Fifo)'s, which hands nothing down here.
//!
//! ```text
//!   floor        position      read                tail        positions, ascending
//!  ---|--------------|-----------|-------------------|
//!     | retained     | settled   | with the client   | durable: may be read
//! ```
//! Invariants: nothing is released that a cursor has not settled durably; a cursor is below the floor only while it is open and what it has read and not settled was
//! deleted under it; each frame a cursor was moved past is counted once while the pipeline runs; what is read is durable.

mod effect;
mod known;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

pub use effect::{Effect, Fetch, Reached, Refused};
use known::{Known, Open};

use super::named::{Recovered, is_name};
use super::{Found, Retention};
use crate::seeded::{self, Bug};

/// Cursors made durable at once: each is a sync of a file of its own, and commits wait for it.
const PERSISTED_AT_ONCE: usize = 16;
/// How often it is asked whether the oldest segment is too old, in nanoseconds.
const EXPIRE_NS: u64 = 1_000_000_000;

/// The state machine of the named cursors of one store.
#[derive(Debug)]
pub struct Cursors {
    retention: Retention,
    known: BTreeMap<Arc<str>, Known>,
    /// Who has an open cursor, by its ticket.
    open: BTreeMap<u64, Arc<str>>,
    next_ticket: u64,
    /// Everything below is gone, or may be.
    floor: u64,
    /// Everything below is durable.
    tail: u64,
    /// A cursor that is new, to be made durable.
    making: Vec<Arc<str>>,
    due: bool,
    persisting: bool,
    /// Whose turn it was last to become durable.
    last: Option<Arc<str>>,
    dropping: Dropping,
    /// The store takes more than it retains.
    too_large: bool,
    expire_at_ns: Option<u64>,
    expire_due: bool,
    stopped: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dropping {
    Idle,
    UnderWay,
    /// There was nothing to drop; tried again when something has changed.
    Nothing,
}

impl Cursors {
    /// A machine for a store that was opened: what is below `floor` is gone, what is below `tail` is durable.
    pub fn new(retention: Retention, floor: u64, tail: u64, recovered: Vec<Recovered>, now_ns: u64) -> Self {
        let known = recovered.into_iter().map(|found| {
            let mut known = Known::new(found.position, found.moved_ns);
            if found.whole && !seeded::has(Bug::PassedForgottenAtStart) {
                known.pass(found.position..floor);
            }
            // One that lost a slot may lag: what it says less than the floor says nothing.
            known.position = found.position.max(floor);
            known.made = true;
            (found.name, known)
        });
        Self {
            expire_at_ns: retention.age.is_some().then_some(now_ns),
            retention,
            known: known.collect(),
            open: BTreeMap::new(),
            next_ticket: 1,
            floor,
            tail,
            making: Vec::new(),
            due: true,
            persisting: false,
            last: None,
            dropping: Dropping::Idle,
            too_large: false,
            expire_due: false,
            stopped: false,
        }
    }

    /// Opens the cursor of a name; an open one of that name reads nothing more. One that is not known yet is made: it may be used once [`Cursors::is_made`].
    ///
    /// # Errors
    /// When the name is none, or there are too many.
    pub fn open(&mut self, name: &str, newest: bool, now_ns: u64) -> Result<u64, Refused> {
        if !is_name(name) {
            return Err(Refused::Name);
        }
        let name: Arc<str> = self
            .known
            .get_key_value(name)
            .map_or_else(|| name.into(), |(name, _)| name.clone());
        if !self.known.contains_key(&name) {
            if self.known.len() as u64 >= self.retention.max_cursors {
                return Err(Refused::TooMany);
            }
            let position = if newest { self.tail } else { self.floor };
            self.known.insert(name.clone(), Known::new(position, Some(now_ns)));
            self.making.push(name.clone());
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        if let Some(known) = self.known.get_mut(&name) {
            if let Some(before) = known.open.take() {
                self.open.remove(&before.ticket);
                known.let_go(self.floor);
            }
            known.open = Some(Open::new(ticket, known.position));
        }
        self.open.insert(ticket, name);
        Ok(ticket)
    }

    /// True once the cursor is durable.
    pub fn is_made(&self, ticket: u64) -> bool {
        self.of(ticket).is_some_and(|known| known.made)
    }

    /// A new cursor is durable.
    pub fn made(&mut self, name: &str) {
        if let Some(known) = self.known.get_mut(name) {
            known.made = true;
        }
    }

    /// A new cursor could not be made durable: it is none.
    pub fn not_made(&mut self, name: &str) {
        if let Some(open) = self.known.remove(name).and_then(|known| known.open) {
            self.open.remove(&open.ticket);
        }
    }

    /// The cursor is closed; what it read and did not settle comes again.
    pub fn close(&mut self, ticket: u64, now_ns: u64) {
        let floor = self.floor;
        if let Some(known) = self.of_mut(ticket) {
            let read = known.open.take().map_or(0, |open| open.read);
            if seeded::has(Bug::ReopenBehindRead) {
                known.position = read;
            }
            known.let_go(floor);
            known.moved_ns = Some(now_ns);
        }
        self.open.remove(&ticket);
    }

    /// The cursor wants the next frames, about `bytes` of them.
    pub fn want(&mut self, ticket: u64, bytes: u64) {
        if let Some(open) = self.of_mut(ticket).and_then(|known| known.open.as_mut()) {
            open.wanted = Some(bytes);
        }
    }

    /// True for a cursor that was not replaced or closed.
    pub fn is_open(&self, ticket: u64) -> bool {
        self.open.contains_key(&ticket)
    }

    /// Everything below `position` is settled for the cursor.
    pub fn settle(&mut self, ticket: u64, position: u64, now_ns: u64) {
        if let Some(known) = self.of_mut(ticket) {
            known.settle(position, now_ns);
        }
    }

    /// What a fetch found. Gives what it is told: how many frames it was moved past, once there is something to tell it with.
    pub fn fetched(&mut self, ticket: u64, found: &Found) -> Option<u64> {
        let known = self.of_mut(ticket)?;
        known.fetched(found)
    }

    /// The answer did not reach the cursor: it was not read, and not told. What has gone meanwhile counts now.
    pub fn fetch_failed(&mut self, ticket: u64) {
        let floor = self.floor;
        let Some(known) = self.of_mut(ticket) else { return };
        if let Some(open) = &mut known.open {
            open.fetching = false;
            open.wanted = None;
        }
        known.retained_from(floor);
    }

    /// Everything below `tail` is durable.
    pub fn committed(&mut self, tail: u64) {
        self.tail = self.tail.max(tail);
        self.try_again();
    }

    /// How many bytes the store takes, and whether it has to have less for another reason: it is full.
    pub fn takes(&mut self, bytes: u64, full: bool) {
        let too_large = full || bytes > self.retention.bytes;
        if too_large && !self.too_large {
            self.try_again();
        }
        self.too_large = too_large;
    }

    /// The oldest segment is gone, or there was none that could go.
    pub fn dropped(&mut self, range: Option<Range<u64>>) {
        self.dropping = Dropping::Nothing;
        let Some(range) = range else { return };
        self.dropping = Dropping::Idle;
        self.expire_due = self.retention.age.is_some();
        self.floor = self.floor.max(range.end);
        for known in self.known.values_mut() {
            known.retained_from(self.floor);
        }
        self.due = true;
    }

    /// The segment could not be deleted.
    pub fn drop_failed(&mut self) {
        self.dropping = Dropping::Nothing;
    }

    /// These cursors are durable.
    pub fn persisted(&mut self, positions: &[(Arc<str>, u64)]) {
        self.persisting = false;
        for (name, position) in positions {
            if let Some(known) = self.known.get_mut(name) {
                known.persisted = known.persisted.max(*position);
            }
        }
    }

    /// Time passes: cursors, age, retries. Call about ten times a second.
    pub fn tick(&mut self, now_ns: u64) {
        self.due = true;
        // The clock may have been set back.
        let due = |at| now_ns >= at || at - now_ns > EXPIRE_NS;
        if self.expire_at_ns.is_some_and(due) {
            self.expire_at_ns = Some(now_ns + EXPIRE_NS);
            self.expire_due = true;
        }
    }

    /// Nothing more is read: the pipeline ends.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// All cursors that are not durable where they stand, for the end.
    pub fn unpersisted(&self) -> Vec<(Arc<str>, u64)> {
        let known = self.known.iter().filter(|(_, known)| known.lags());
        known.map(|(name, known)| (name.clone(), known.position)).collect()
    }

    /// Everybody has everything, and there is somebody.
    pub fn all_settled(&self) -> bool {
        !self.known.is_empty() && self.known.values().all(|known| known.position >= self.tail)
    }

    /// The cursors, in the order of their names. One that is not durable yet is none: who tries names on a full disk leaves none of them behind.
    pub fn all(&self) -> impl Iterator<Item = Reached<'_>> {
        let made = self.known.iter().filter(|(_, known)| known.made);
        made.map(|(name, known)| Reached {
            name,
            position: known.position,
            waiting_frames: self.tail.saturating_sub(known.position.max(self.floor)),
            passed_frames: known.passed(),
            open: known.open.is_some(),
            moved_ns: known.moved_ns,
        })
    }

    /// The name and the position of an open cursor.
    pub fn opened(&self, ticket: u64) -> Option<(Arc<str>, u64)> {
        let name = self.open.get(&ticket)?;
        Some((name.clone(), self.known.get(name)?.position))
    }

    fn try_again(&mut self) {
        if self.dropping == Dropping::Nothing {
            self.dropping = Dropping::Idle;
        }
    }

    fn of(&self, ticket: u64) -> Option<&Known> {
        self.known.get(self.open.get(&ticket)?)
    }

    fn of_mut(&mut self, ticket: u64) -> Option<&mut Known> {
        self.known.get_mut(self.open.get(&ticket)?)
    }
}
