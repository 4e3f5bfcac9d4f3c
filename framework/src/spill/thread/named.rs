//! What the thread does for the named cursors of a store.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::spill::cursors::Fetch;
use crate::spill::{Found, SpillError, Storage};

/// What the thread is asked to do for named cursors, in order with all else.
#[derive(Debug)]
pub enum NamedCommand {
    /// Make a new cursor durable.
    Make {
        /// Its name.
        name: Arc<str>,
        /// Where it stands.
        position: u64,
    },
    /// Read for a cursor.
    Fetch(Fetch),
    /// Make positions durable.
    Persist(Vec<(Arc<str>, u64)>),
    /// Delete the oldest closed segment that ends at `to` or before.
    DropOldest {
        /// Everything from here on stays.
        to: u64,
    },
    /// The same if it is too old.
    Expire {
        /// Everything from here on stays.
        to: u64,
        /// See [`Storage::expire`].
        age: Duration,
    },
}

/// The answer to each of them.
#[derive(Debug)]
pub enum NamedEvent {
    /// To `Make`.
    Made {
        /// Its name.
        name: Arc<str>,
        /// Why it is not durable.
        error: Option<SpillError>,
    },
    /// To `Fetch`.
    Fetched {
        /// Whose.
        ticket: u64,
        /// The batches, and what had to be passed over.
        found: Result<Found, SpillError>,
    },
    /// To `Persist`.
    Persisted {
        /// Those that are durable.
        positions: Vec<(Arc<str>, u64)>,
        /// Why the others are not; each is tried on its own.
        error: Option<SpillError>,
    },
    /// To `DropOldest` and `Expire`: the positions that are gone, if a segment is.
    Dropped(Result<Option<Range<u64>>, SpillError>),
}

pub(super) fn carry_out(storage: &mut Storage, command: NamedCommand) -> NamedEvent {
    match command {
        NamedCommand::Make { name, position } => {
            let error = storage.make_named(&name, position).err();
            NamedEvent::Made { name, error }
        }
        NamedCommand::Fetch(fetch) => NamedEvent::Fetched {
            ticket: fetch.ticket,
            found: storage.read(fetch.from, fetch.to, fetch.bytes),
        },
        NamedCommand::Persist(positions) => persist(storage, positions),
        NamedCommand::DropOldest { to } => NamedEvent::Dropped(storage.drop_oldest_segment(0..to)),
        NamedCommand::Expire { to, age } => NamedEvent::Dropped(storage.expire(to, age)),
    }
}

/// One file that fails does not keep the others from moving.
fn persist(storage: &mut Storage, mut positions: Vec<(Arc<str>, u64)>) -> NamedEvent {
    let mut error = None;
    positions.retain(|(name, position)| match storage.settle_named(name, *position) {
        Ok(()) => true,
        Err(why) => {
            error = Some(why);
            false
        }
    });
    NamedEvent::Persisted { positions, error }
}
