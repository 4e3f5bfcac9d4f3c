//! What stands below a source that tells its peer that a frame was taken only once it is durable, or delivered.

use super::{is_always, spill};
use crate::config::actors::Actor;
use crate::config::flow::Edge;
use crate::config::pipeline::Role;
use crate::config::report::Report;
use crate::plugin::{Awaits, REJECTED};

/// Follows all ways down from the source, and reports the first on which it would not hear what it waits for.
pub(super) fn check(source: &Actor, awaits: Awaits, actors: &[Actor], edges: &[Edge], report: &mut Report) {
    if awaits == Awaits::Nothing {
        return;
    }
    // Where a way has come, and the store that it came through.
    let mut ways: Vec<(&Actor, Option<&str>)> = vec![(source, None)];
    let mut seen = Vec::new();
    while let Some((at, store)) = ways.pop() {
        for edge in edges.iter().filter(|edge| edge.edge.from == at.name) {
            let Some(next) = actors.iter().find(|actor| actor.name == edge.edge.to) else {
                continue;
            };
            let problem = match awaits {
                Awaits::Durable => durable(next, &edge.edge.output, actors, report),
                _ => delivered(next, store),
            };
            if let Some(problem) = problem {
                report.add(&source.key, problem).expected(expected(awaits));
                return;
            }
            let goes_on = match next.role {
                Role::Source | Role::Processor => true,
                Role::Spill => awaits == Awaits::Delivered,
                Role::Sink => false,
            };
            let store = (next.role == Role::Spill).then_some(next.name.as_str()).or(store);
            if goes_on && !seen.contains(&(&next.name, store)) {
                seen.push((&next.name, store));
                ways.push((next, store));
            }
        }
    }
}

fn durable(next: &Actor, output: &str, actors: &[Actor], report: &Report) -> Option<String> {
    let name = &next.name;
    match next.role {
        Role::Spill if !is_always(actors, name, report) => Some(format!(
            "waits until frames are on disk before it replies, but the store `{name}` keeps them in memory first"
        )),
        // A dead letter is out of the way of its frame.
        Role::Sink if output != REJECTED => Some(format!(
            "waits until frames are on disk before it replies, but they come to `{name}` without a store in front"
        )),
        _ => None,
    }
}

fn delivered(next: &Actor, store: Option<&str>) -> Option<String> {
    let (name, retains) = (
        &next.name,
        spill(next).is_some_and(|spill| spill.retain_bytes.is_some()),
    );
    match (next.role, store) {
        (Role::Spill, _) if retains => Some(format!(
            "waits until frames are delivered before it replies, but the store `{name}` keeps them for readers with cursors of their own"
        )),
        (Role::Spill, Some(first)) => Some(format!(
            "waits until frames are delivered before it replies, but behind the store `{first}` stands another, `{name}`"
        )),
        _ => None,
    }
}

fn expected(awaits: Awaits) -> &'static str {
    match awaits {
        Awaits::Durable => {
            "a spill store with persist = \"always\" on every way but those of dead letters, or a reply that does not wait for the disk"
        }
        _ => {
            "one store at most on every way to a sink, without retain_bytes, or a reply that waits until frames are durable"
        }
    }
}
