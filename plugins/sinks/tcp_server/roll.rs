//! Which named clients there are, who of them is here, and how far behind each is: what `status` shows.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::SystemTime;

use aqueduct_framework::plugin::{Context, NamedCursor};
use aqueduct_framework::telemetry::{Counter, Gauge};

/// The clients by name.
pub(super) struct Roll {
    context: Context,
    address: String,
    clients: RefCell<BTreeMap<String, Presence>>,
    /// How many there are, as the store said last.
    known: Cell<usize>,
    here: Gauge,
    away: Gauge,
    /// Of the one that is furthest behind.
    behind: Gauge,
    passed: Counter,
}

/// Whether a client is here, and since when.
#[derive(Debug, Clone, Copy)]
struct Presence {
    from: Option<SocketAddr>,
    since: SystemTime,
}

impl Roll {
    pub(super) fn new(context: &Context, address: String) -> Self {
        let roll = Self {
            here: context.gauge("clients"),
            away: context.gauge("clients_away"),
            behind: context.gauge("frames_behind"),
            passed: context.counter("frames_passed"),
            context: context.clone(),
            address,
            clients: RefCell::default(),
            known: Cell::default(),
        };
        roll.count();
        roll
    }

    /// It is here, and so many frames wait for it.
    pub(super) fn came(&self, name: &str, from: SocketAddr, waiting_frames: u64) {
        self.context.counter("connects").add(1);
        tracing::info!(actor = %self.context.actor, "{name} is here, from {from}: {waiting_frames} frames wait for it");
        self.note(name, Some(from));
        self.say(name, &format!("{waiting_frames} frames behind"));
    }

    /// It has left.
    pub(super) fn left(&self, name: &str, waiting_frames: u64) {
        self.note(name, None);
        self.say(name, &format!("{waiting_frames} frames behind"));
    }

    /// The store did not keep these until the client was there to take them.
    pub(super) fn passed(&self, name: &str, frames: u64) {
        if frames > 0 {
            self.passed.add(frames);
            tracing::warn!(actor = %self.context.actor, total = self.passed.get(), "{name} has lost {frames} frames: they were deleted before it had them, as retention says, or are damaged");
        }
    }

    /// What the store knows of all of them.
    pub(super) fn update(&self, cursors: &[NamedCursor]) {
        for cursor in cursors {
            let passed = match cursor.passed_frames {
                0 => String::new(),
                frames => format!(", {frames} lost to retention since the start"),
            };
            self.say(
                &cursor.name,
                &format!("{} frames behind{passed}", cursor.waiting_frames),
            );
        }
        let behind = cursors.iter().map(|cursor| cursor.waiting_frames).max();
        self.behind.set(behind.unwrap_or(0));
        self.known.set(cursors.len());
        self.count();
    }

    fn note(&self, name: &str, from: Option<SocketAddr>) {
        let since = SystemTime::now();
        self.clients
            .borrow_mut()
            .insert(name.to_owned(), Presence { from, since });
        self.count();
    }

    fn count(&self) {
        let clients = self.clients.borrow();
        let here = clients.values().filter(|presence| presence.from.is_some()).count();
        let away = self.known.get().max(clients.len()) - here;
        self.here.set(here as u64);
        self.away.set(away as u64);
        let state = match here {
            0 => format!("waiting for clients on {}", self.address),
            1 => "serving 1 client".to_owned(),
            here => format!("serving {here} clients"),
        };
        let away = if away > 0 {
            format!(", {away} away")
        } else {
            String::new()
        };
        self.context.say("state", state + &away);
    }

    fn say(&self, name: &str, behind: &str) {
        let presence = self.clients.borrow().get(name).copied();
        let since = |presence: Presence| humantime::format_rfc3339_seconds(presence.since);
        let presence = match presence {
            Some(presence) => match presence.from {
                Some(from) => format!("here from {from} since {}", since(presence)),
                None => format!("away since {}", since(presence)),
            },
            None => "away, not seen since the start".to_owned(),
        };
        self.context
            .say(&format!("client {name}"), format!("{presence}, {behind}"));
    }
}
