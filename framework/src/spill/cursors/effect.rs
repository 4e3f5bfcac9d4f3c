//! What the machine asks its actor to do, most urgent first, and what it shows of itself.

use std::sync::Arc;

use super::{Cursors, Dropping, PERSISTED_AT_ONCE};
use crate::seeded::{self, Bug};

/// Something to do, in the order returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Make a new cursor durable; answer with `made` or `not_made`.
    Make {
        /// Its name.
        name: Arc<str>,
        /// Where it stands.
        position: u64,
    },
    /// Read for a cursor; answer with `fetched` or `fetch_failed`.
    Fetch(Fetch),
    /// Make these positions durable; answer with `persisted`, with those of them that are.
    Persist(Vec<(Arc<str>, u64)>),
    /// Everything below is settled for all: it may be deleted.
    Release(u64),
    /// Delete the oldest segment that is not written any more and ends at `to` or before, whoever has not read it; answer with `dropped` or `drop_failed`.
    DropOldest {
        /// Everything from here on is not durable.
        to: u64,
    },
    /// The same if it is older than is retained.
    Expire {
        /// Everything from here on is not durable.
        to: u64,
    },
}

/// What is read for a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetch {
    /// Whose.
    pub ticket: u64,
    /// The first position wanted.
    pub from: u64,
    /// The position at which to stop.
    pub to: u64,
    /// About how many payload bytes.
    pub bytes: u64,
}

/// Why a cursor is not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It is no name for one.
    Name,
    /// There are as many as may be.
    TooMany,
}

/// Where a cursor stands.
#[derive(Debug, Clone, Copy)]
pub struct Reached<'c> {
    /// Its name.
    pub name: &'c str,
    /// Everything below is settled for it.
    pub position: u64,
    /// Frames that are retained and not settled for it.
    pub waiting_frames: u64,
    /// Frames it was moved past, since the store was opened.
    pub passed_frames: u64,
    /// Somebody reads with it.
    pub open: bool,
    /// When it moved or was closed last, in nanoseconds since 1970, if that is known.
    pub moved_ns: Option<u64>,
}

impl Cursors {
    /// The next thing to do; call until none.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.make()
            .or_else(|| self.release())
            .or_else(|| self.persist())
            .or_else(|| self.drop_oldest())
            .or_else(|| self.fetch())
    }

    fn make(&mut self) -> Option<Effect> {
        let name = self.making.pop()?;
        let position = self.known.get(&name)?.position;
        Some(Effect::Make { name, position })
    }

    /// What all have settled, durably, so that no start finds a cursor below what is left.
    fn release(&mut self) -> Option<Effect> {
        let settled = self
            .known
            .values()
            .map(|known| match seeded::has(Bug::ReleasedBeforeDurable) {
                true => known.position,
                false => known.persisted,
            });
        let lowest = if seeded::has(Bug::QuickestCursorReleases) {
            settled.max()?
        } else {
            settled.min()?
        };
        if lowest <= self.floor {
            return None;
        }
        self.floor = lowest;
        Some(Effect::Release(lowest))
    }

    /// A few at a time, in turn.
    fn persist(&mut self) -> Option<Effect> {
        if !self.due || self.persisting {
            return None;
        }
        self.due = false;
        let after = self.known.iter().filter(|(name, _)| Some(*name) > self.last.as_ref());
        let before = self.known.iter().filter(|(name, _)| Some(*name) <= self.last.as_ref());
        let lagging = after.chain(before).filter(|(_, known)| known.lags());
        let positions: Vec<_> = lagging
            .take(PERSISTED_AT_ONCE)
            .map(|(name, known)| match &known.open {
                Some(open) if seeded::has(Bug::CursorMadeDurableWhereItReads) => (name.clone(), open.read),
                _ => (name.clone(), known.position),
            })
            .collect();
        self.last = positions.last().map(|(name, _)| name.clone());
        self.persisting = !positions.is_empty();
        self.persisting.then_some(Effect::Persist(positions))
    }

    fn drop_oldest(&mut self) -> Option<Effect> {
        let wanted = self.too_large || self.expire_due;
        if !wanted || self.dropping == Dropping::UnderWay || self.stopped {
            return None;
        }
        let to = self.tail;
        if self.too_large && self.dropping == Dropping::Idle {
            self.dropping = Dropping::UnderWay;
            return Some(Effect::DropOldest { to });
        }
        if std::mem::take(&mut self.expire_due) {
            self.dropping = Dropping::UnderWay;
            return Some(Effect::Expire { to });
        }
        None
    }

    fn fetch(&mut self) -> Option<Effect> {
        let (tail, stopped) = (self.tail, self.stopped);
        self.known.values_mut().find_map(|known| {
            let open = known.open.as_mut().filter(|_| known.made && !stopped)?;
            let bytes = open.wanted.filter(|_| !open.fetching && open.read < tail)?;
            open.fetching = true;
            Some(Effect::Fetch(Fetch {
                ticket: open.ticket,
                from: open.read,
                to: tail,
                bytes,
            }))
        })
    }
}
