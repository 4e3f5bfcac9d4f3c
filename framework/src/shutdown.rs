//! Shutdown, as numbered steps in one pure state machine:
//!
//! 1. **Sources** stop accepting and finish the frame in hand.
//! 2. **Stores** stop delivering (a backlog on disk stays there); senders that wait for a peer give up when a store stands upstream.
//!    What is below, side outputs too, finishes.
//! 3. At the **deadline**, actors that still work are ended; what they held comes back to the stores as dropped.
//! 4. **Stores** close last, after every receipt, and persist what is left.
//!
//! A second signal ends everything at once.

use std::collections::BTreeSet;

use crate::actors::Order;
use crate::config::Role;
use crate::seeded::{self, Bug};

/// What the supervisor must do next: give these actors this order, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Who.
    pub actors: Vec<String>,
    /// What.
    pub order: Order,
}

/// Where the pipeline stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Not shutting down.
    Running,
    /// Step 1.
    StoppingSources,
    /// Step 2.
    Draining,
    /// Steps 3 and 4: only stores are left to wait for.
    ClosingStores,
    /// Every actor has ended.
    Ended,
}

/// The state of a shutdown.
#[derive(Debug)]
pub struct Shutdown {
    alive: Vec<(String, Role)>,
    stage: Stage,
}

impl Shutdown {
    /// A running pipeline of these actors.
    pub fn new(actors: impl IntoIterator<Item = (String, Role)>) -> Self {
        Self {
            alive: actors.into_iter().collect(),
            stage: Stage::Running,
        }
    }

    /// Where it stands.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// The actors that have not ended, in flow order.
    pub fn alive(&self) -> impl Iterator<Item = &str> {
        self.alive.iter().map(|(name, _)| name.as_str())
    }

    /// True for an actor that is a store and has not ended.
    pub fn is_store(&self, actor: &str) -> bool {
        self.alive
            .iter()
            .any(|(name, role)| name == actor && *role == Role::Spill)
    }

    /// The wish to end, by a signal or because an actor failed. Repeating it changes nothing.
    pub fn begin(&mut self) -> Option<Action> {
        if self.stage != Stage::Running {
            return None;
        }
        self.stage = Stage::StoppingSources;
        let sources = self.of(|role| role == Role::Source);
        if sources.is_empty() {
            return self.drain();
        }
        Some(Action {
            actors: sources,
            order: Order::Drain,
        })
    }

    /// An actor ended, by itself or as told.
    pub fn ended(&mut self, actor: &str) -> Option<Action> {
        self.alive.retain(|(name, _)| name != actor);
        if self.alive.is_empty() {
            self.stage = Stage::Ended;
            return None;
        }
        let sources_left =
            self.alive.iter().any(|(_, role)| *role == Role::Source) && !seeded::has(Bug::StoresClosedFirst);
        if self.stage == Stage::StoppingSources && !sources_left {
            return self.drain();
        }
        None
    }

    /// The deadline passed: end what still works, except the stores.
    pub fn deadline(&mut self) -> Vec<Action> {
        if matches!(self.stage, Stage::Running | Stage::Ended) {
            return Vec::new();
        }
        self.stage = Stage::ClosingStores;
        let terminate = Action {
            actors: self.of(|role| role != Role::Spill),
            order: Order::Terminate,
        };
        let drain = Action {
            actors: self.of(|role| role == Role::Spill),
            order: Order::Drain,
        };
        vec![terminate, drain]
    }

    /// A second signal: end everything now.
    pub fn force(&mut self) -> Action {
        self.stage = Stage::ClosingStores;
        Action {
            actors: self.of(|_| true),
            order: Order::Terminate,
        }
    }

    fn drain(&mut self) -> Option<Action> {
        self.stage = Stage::Draining;
        let mut actors = self.of(|role| role == Role::Spill);
        actors.extend(self.of(|role| !matches!(role, Role::Source | Role::Spill)));
        Some(Action {
            actors,
            order: Order::Drain,
        })
    }

    fn of(&self, wanted: impl Fn(Role) -> bool) -> Vec<String> {
        let wanted = self.alive.iter().filter(|(_, role)| wanted(*role));
        wanted
            .map(|(name, _)| name.clone())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipeline() -> Shutdown {
        Shutdown::new([
            ("a".to_owned(), Role::Source),
            ("store".to_owned(), Role::Spill),
            ("out".to_owned(), Role::Sink),
        ])
    }

    #[test]
    fn stores_and_senders_are_told_only_after_the_sources_have_ended() {
        let mut shutdown = pipeline();
        let first = shutdown.begin().expect("the sources are told");
        assert_eq!((first.actors, first.order), (vec!["a".to_owned()], Order::Drain));
        let second = shutdown.ended("a").expect("the rest is told");
        assert_eq!(
            second.actors,
            ["store", "out"],
            "before a sender gives back what it would get again"
        );
        assert_eq!(shutdown.ended("out"), None);
        assert_eq!(shutdown.ended("store"), None);
        assert_eq!(shutdown.stage(), Stage::Ended);
    }

    #[test]
    fn the_deadline_ends_what_works_but_lets_stores_persist() {
        let mut shutdown = pipeline();
        shutdown.begin();
        let told = shutdown.deadline();
        assert_eq!(told[0].actors, ["a", "out"]);
        assert_eq!(told[0].order, Order::Terminate);
        assert_eq!(
            (told[1].actors.as_slice(), told[1].order),
            (&["store".to_owned()][..], Order::Drain)
        );
    }

    #[test]
    fn actors_that_end_by_themselves_end_the_pipeline_without_any_order() {
        let mut shutdown = pipeline();
        for actor in ["a", "store", "out"] {
            assert_eq!(shutdown.ended(actor), None);
        }
        assert_eq!(shutdown.stage(), Stage::Ended);
    }
}
