//! Who downstream takes nothing: the edges and actors below a source, asked in the order of the flow.

use std::sync::Arc;

use crate::config::Role;
use crate::mailbox::EdgeMeters;
use crate::telemetry::{Meters, now_ns};

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
    /// What it did, to follow "because": `drain took nothing (full), since network took nothing (waiting for a client)`.
    pub clause: String,
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
        Some(Blame {
            actor: last.to.clone(),
            is_work: last.role == Role::Processor,
            clause,
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
        let ms = now_ns().saturating_sub(since) / 1_000_000;
        (ms >= BUSY_MS).then_some(ms)
    }

    fn clause(&self) -> String {
        let to = &self.to;
        let stalled_ns = self.meters.gauge("stalled_since_ns").get();
        if stalled_ns != 0 {
            let ms = now_ns().saturating_sub(stalled_ns) / 1_000_000;
            return format!("the peer of {to} had not read for {}", super::judge::time(ms));
        }
        match (self.role, self.meters.text("state")) {
            (Role::Processor, _) => self.busy().map_or_else(
                || format!("{to} was slow"),
                |ms| format!("{to} had been busy with one batch for {}", super::judge::time(ms)),
            ),
            (Role::Spill, Some(state)) => format!("{to} took nothing ({state})"),
            (Role::Sink, Some(state)) if !state.starts_with("connected") && !state.starts_with("serving") => {
                format!("{to} took nothing ({state})")
            }
            _ => format!("{to} was slow"),
        }
    }
}
