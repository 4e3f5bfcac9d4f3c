//! What works, but probably not as meant.

use super::actors::Actor;
use super::flow::Edge;
use super::graph::{reach, sources};
use super::host::{HostConfig, SinkHost, WhenFull};
use super::mistake::Mistake;
use super::pipeline::Role;
use super::report::{Report, join};
use crate::plugin::REJECTED;

/// The warnings about one pipeline without mistakes.
pub(super) fn of(actors: &[Actor], edges: &[Edge], report: &Report) -> Vec<Mistake> {
    let mut warnings = Vec::new();
    for actor in actors {
        let Some(config) = &actor.config else { continue };
        match &config.host {
            HostConfig::Sink(sink) => {
                warnings.extend(unbuffered(actor, actors, edges, report));
                warnings.extend(thrown_away(actor, sink, edges, report));
            }
            // One that retains deletes the oldest before it is full.
            HostConfig::Spill(spill) if spill.when_full == WhenFull::Block && spill.retain_bytes.is_none() => {
                warnings.extend(blocking(actor, actors, edges, report));
            }
            _ => {}
        }
    }
    warnings
}

/// A sink that waits for its client, with no spill store between it and a source.
fn unbuffered(sink: &Actor, actors: &[Actor], edges: &[Edge], report: &Report) -> Option<Mistake> {
    let waits = sink.info.as_ref().is_some_and(|info| !info.listens.is_empty());
    let is_spill = |name: &str| {
        actors
            .iter()
            .any(|actor| actor.name == name && actor.role == Role::Spill)
    };
    let stored: Vec<Edge> = edges
        .iter()
        .filter(|edge| !is_spill(&edge.edge.from))
        .cloned()
        .collect();
    let source = *sources(actors, &stored, &sink.name).first().filter(|_| waits)?;
    let message = format!(
        "no spill store stands between `{}` and this sink: the source is not read while its client is away",
        source.name
    );
    Some(report.at(&sink.key, message))
}

/// A sink that gives up frames which nobody takes.
fn thrown_away(sink: &Actor, config: &SinkHost, edges: &[Edge], report: &Report) -> Option<Mistake> {
    config.retry.give_up_after?;
    let kept = |edge: &Edge| edge.edge.from == sink.name && edge.edge.output == REJECTED;
    if edges.iter().any(kept) {
        return None;
    }
    let message = "frames that it gives up are thrown away: nothing takes its dead letters";
    let mut warning = report.at(&join(&join(&sink.key, "retry"), "give_up_after"), message);
    warning.expected(format!("`{}.rejected -> dead_letters` in the flow", sink.name));
    Some(warning)
}

/// A spill store that blocks a source which will not wait.
fn blocking(spill: &Actor, actors: &[Actor], edges: &[Edge], report: &Report) -> Option<Mistake> {
    let hurries = |actor: &&Actor| actor.info.as_ref().is_some_and(|info| info.will_not_wait);
    let source = actors
        .iter()
        .filter(hurries)
        .find(|source| reach(edges, &source.name).contains(spill.name.as_str()))?;
    let message = format!(
        "when it is full, `{}` is not read any more and its peer closes the connection",
        source.name
    );
    let mut warning = report.at(&join(&spill.key, "when_full"), message);
    warning.expected("enough max_bytes for the longest stall, or when_full = \"drop_newest\" or \"drop_oldest\"");
    Some(warning)
}
