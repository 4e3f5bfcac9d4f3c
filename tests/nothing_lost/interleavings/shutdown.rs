//! A shutdown: actors end by themselves or as told, the deadline passes, somebody forces it.

use std::collections::BTreeSet;

use aqueduct::framework::actors::Order;
use aqueduct::framework::config::Role;
use aqueduct::framework::shutdown::{Action as Told, Shutdown, Stage};

use super::explore::Model;

const ACTORS: [(&str, Role); 6] = [
    ("first_source", Role::Source),
    ("second_source", Role::Source),
    ("store", Role::Spill),
    ("side_store", Role::Spill),
    ("process", Role::Processor),
    ("sink", Role::Sink),
];

pub(super) struct Ending {
    shutdown: Shutdown,
    begun: bool,
    late: bool,
    forced: bool,
    told: BTreeSet<String>,
    ended: BTreeSet<&'static str>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Action {
    Begin,
    Ended(&'static str),
    Deadline,
    Force,
}

impl Ending {
    pub(super) fn new() -> Self {
        Self {
            shutdown: Shutdown::new(ACTORS.map(|(name, role)| (name.to_owned(), role))),
            begun: false,
            late: false,
            forced: false,
            told: BTreeSet::new(),
            ended: BTreeSet::new(),
        }
    }

    fn carry_out(&mut self, actions: impl IntoIterator<Item = Told>) {
        for Told { actors, order } in actions {
            let reading = self.ends_before(Role::Source);
            for actor in actors {
                let role = ACTORS.iter().find(|(name, _)| *name == actor).unwrap().1;
                assert!(self.shutdown.alive().any(|name| name == actor), "{actor} has ended");
                let early = role != Role::Source && reading && !self.late && !self.forced;
                assert!(!early, "{actor} is told {order:?} while sources read");
                let kept = role == Role::Spill && order == Order::Terminate;
                assert!(!kept || self.forced, "a store is ended before it has persisted");
                self.told.insert(actor);
            }
        }
    }

    /// Some actor of this role has not ended.
    fn ends_before(&self, role: Role) -> bool {
        ACTORS
            .iter()
            .any(|(name, own)| *own == role && !self.ended.contains(name))
    }
}

impl Model for Ending {
    type Action = Action;

    fn actions(&self) -> Vec<Action> {
        let mut actions: Vec<_> = ACTORS
            .iter()
            .filter(|(name, _)| !self.ended.contains(name))
            .map(|(name, _)| Action::Ended(name))
            .collect();
        if !actions.is_empty() {
            actions.extend((!self.begun).then_some(Action::Begin));
            actions.extend((self.begun && !self.late).then_some(Action::Deadline));
            actions.extend((self.begun && !self.forced).then_some(Action::Force));
        }
        actions
    }

    fn act(&mut self, action: Action) {
        let told: Vec<Told> = match action {
            Action::Begin => {
                self.begun = true;
                self.shutdown.begin().into_iter().collect()
            }
            Action::Ended(actor) => {
                self.ended.insert(actor);
                self.shutdown.ended(actor).into_iter().collect()
            }
            Action::Deadline => {
                self.late = true;
                self.shutdown.deadline()
            }
            Action::Force => {
                self.forced = true;
                vec![self.shutdown.force()]
            }
        };
        self.carry_out(told);
        if self.begun && !self.ends_before(Role::Source) {
            let waits = self.shutdown.alive().find(|name| !self.told.contains(*name));
            assert_eq!(waits, None, "an actor was never told to end");
        }
    }

    fn fingerprint(&self) -> String {
        let flags = (self.begun, self.late, self.forced);
        format!("{:?} {flags:?} {:?} {:?}", self.shutdown, self.told, self.ended)
    }

    fn at_rest(&self) {
        assert_eq!(self.shutdown.stage(), Stage::Ended);
    }
}
