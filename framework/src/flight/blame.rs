//! Who downstream takes nothing: the edges and actors below a source, asked in the order of the flow.

use std::sync::Arc;

use crate::config::Role;
use crate::mailbox::EdgeMeters;
use crate::telemetry::{Meters, uptime_ns};

/// One edge below an actor, and the actor it leads to.
#[derive(Debug, Clone)]
pub struct BelowEdge {
    /// The upstream actor.
    pub from: String,
    /// The downstream actor.
    pub to: String,
    /// What the downstream actor is.
    pub role: Role,
    /// What is counted on the edge.
    pub edge: EdgeMeters,
    /// What the downstream actor counts and says.
    pub meters: Meters,
}

/// Every edge that can be reached from an actor. Cloning is cheap; it may be asked from any thread.
#[derive(Debug, Clone, Default)]
pub struct Below {
    edges: Arc<[BelowEdge]>,
}

/// Whoever made us wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blame {
    /// The actor at the end of the chain of those who wait for each other.
    pub actor: String,
    /// True when it is a processor: then it is our own work that is slow, and nobody outside.
    pub is_work: bool,
    /// The store between that took nothing either: what stands before it has to wait, though there is a store.
    pub store: Option<String>,
    /// What it did, to follow "because": `drain took nothing (full), since network took nothing (waiting for a client)`.
    pub clause: String,
}

impl Blame {
    /// What to do when a store is there and takes nothing: another one in front of it would not help. None without a store.
    pub(super) fn advice(&self) -> Option<String> {
        let (store, actor) = (self.store.as_ref()?, &self.actor);
        let first = if actor == store {
            format!("`{store}` takes nothing: look after its disk (room, speed) and its `max_bytes`")
        } else {
            format!(
                "`{store}` is full because what leaves it is less than what arrives: look after `{actor}` first; `max_bytes` of `{store}`, and a disk that holds as much, is its room for an outage"
            )
        };
        Some(format!(
            "{first}; `when_full = \"drop_oldest\"` or `\"drop_newest\"` keeps the source flowing at the price of frames"
        ))
    }
}

impl Below {
    /// The edges of an actor's flow.
    pub fn new(edges: impl IntoIterator<Item = BelowEdge>) -> Self {
        Self {
            edges: edges.into_iter().collect(),
        }
    }

    /// Follows the edges on which somebody waits for demand now, from `actor` down to the one that waits for nobody. None: `actor` does not wait.
    pub fn blame(&self, actor: &str) -> Option<Blame> {
        let mut chain = Vec::new();
        let mut from = actor;
        // The flow has no cycles; the bound only keeps a broken promise from becoming an endless loop.
        while chain.len() < self.edges.len() {
            let Some(edge) = self.waiting(from) else { break };
            chain.push(edge);
            from = &edge.to;
        }
        // A store hands down only so much that is not settled, so it may wait for a destination without lacking demand.
        if chain.last().is_some_and(|edge| edge.role == Role::Spill) {
            chain.extend(self.troubled(from, self.edges.len()));
        }
        let last = *chain.last()?;
        // Processors in between only pass the pressure on.
        let told = chain
            .iter()
            .filter(|edge| edge.role == Role::Spill || std::ptr::eq(**edge, last));
        let clauses: Vec<_> = told.rev().map(|edge| edge.clause()).collect();
        let mut clauses = clauses.into_iter().rev();
        let mut clause = clauses.next()?;
        for deeper in clauses {
            clause = format!("{clause}, since {deeper}");
        }
        let store = chain.iter().find(|edge| edge.role == Role::Spill);
        Some(Blame {
            actor: last.to.clone(),
            store: store.map(|edge| edge.to.clone()),
            is_work: last.role == Role::Processor,
            clause,
        })
    }

    /// The first sink below `from` that delivers nothing, at most `hops` edges away.
    fn troubled(&self, from: &str, hops: usize) -> Option<&BelowEdge> {
        let mut edges = self.edges.iter().filter(|edge| hops > 0 && edge.from == from);
        edges.find_map(|edge| {
            let found = (edge.role == Role::Sink && edge.is_troubled()).then_some(edge);
            found.or_else(|| self.troubled(&edge.to, hops - 1))
        })
    }

    /// The edge on which `from` has waited longest.
    fn waiting(&self, from: &str) -> Option<&BelowEdge> {
        let edges = self.edges.iter().filter(|edge| edge.from == from);
        edges
            .map(|edge| (edge.edge.waiting_since_ns.get(), edge))
            .filter(|(since, _)| *since != 0)
            .min_by_key(|(since, _)| *since)
            .map(|(_, edge)| edge)
    }
}

/// A processor that has been at one batch for this long is told to be at it, in milliseconds.
const BUSY_MS: u64 = 100;

impl BelowEdge {
    /// How long the processor has been at one batch, if that is long: the longest of its workers.
    fn busy(&self) -> Option<u64> {
        let numbers = self.meters.snapshot().numbers;
        let busy = numbers
            .iter()
            .filter(|(name, since)| name.ends_with("busy_since_ns") && **since != 0);
        let since = busy.map(|(_, since)| *since).min()?;
        let ms = uptime_ns().saturating_sub(since) / 1_000_000;
        (ms >= BUSY_MS).then_some(ms)
    }

    /// Whether the sink's peer reads nothing, or is not there.
    fn is_troubled(&self) -> bool {
        self.stalled_since_ns() != 0 || self.absence().is_some()
    }

    fn stalled_since_ns(&self) -> u64 {
        let since = self.meters.snapshot().numbers.get("stalled_since_ns").copied();
        since.unwrap_or(0)
    }

    /// What a sink says of itself while it has nobody to write to.
    fn absence(&self) -> Option<String> {
        let state = self.meters.said("state")?;
        let there = ["connected", "serving"].iter().any(|word| state.starts_with(word));
        (!there).then_some(state)
    }

    fn clause(&self) -> String {
        let to = &self.to;
        let stalled_ns = self.stalled_since_ns();
        if stalled_ns != 0 {
            let ms = uptime_ns().saturating_sub(stalled_ns) / 1_000_000;
            return format!("the peer of {to} had not read for {}", super::judge::time(ms));
        }
        let slow = || format!("{to} was slow");
        let nothing = |state| format!("{to} took nothing ({state})");
        match self.role {
            // Up to the semicolon it says what is, behind it what follows from that.
            Role::Spill => {
                let state = self.meters.said("state");
                let short = state.map(|state| state.split(';').next().unwrap_or_default().to_owned());
                short.map_or_else(slow, nothing)
            }
            Role::Sink => self.absence().map_or_else(slow, nothing),
            _ => self.busy().map_or_else(slow, |ms| {
                format!("{to} had been busy with one batch for {}", super::judge::time(ms))
            }),
        }
    }
}
