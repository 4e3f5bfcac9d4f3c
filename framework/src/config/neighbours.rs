//! What some plugins need beside them: a spill store that says what is durable.

use super::actors::Actor;
use super::catalog::Catalog;
use super::flow::Edge;
use super::host::{HostConfig, Persist, SpillConfig};
use super::pipeline::Role;
use super::report::{Report, join};
use crate::plugin::StoreUse;

/// Checks the neighbours of sources that feed a store, and of sinks that use the one in front of them.
pub(super) fn check(actors: &[Actor], edges: &[Edge], catalog: &dyn Catalog, report: &mut Report) {
    for actor in actors {
        match actor.role {
            Role::Source if actor.info.as_ref().is_some_and(|info| info.feeds_store) => {
                source(actor, actors, edges, report);
            }
            Role::Sink => {
                let Some(config) = &actor.config else { continue };
                let wanted = catalog.store_use(&config.plugin, &config.settings);
                if wanted != StoreUse::Any {
                    sink(actor, wanted, actors, edges, report);
                }
            }
            _ => {}
        }
    }
}

/// A source whose frames must be durable before they count as received.
fn source(source: &Actor, actors: &[Actor], edges: &[Edge], report: &mut Report) {
    let below: Vec<&str> = of(edges, |edge| edge.edge.from == source.name, |edge| &edge.edge.to);
    match below.as_slice() {
        [only] if is_always(actors, only, report) => {}
        _ => {
            report
                .add(&source.key, "feeds something else than one durable store")
                .expected(format!(
                    "one arrow from `{}`, to a spill store with persist = \"always\"",
                    source.name
                ));
        }
    }
}

/// A sink that counts by the positions of the store in front of it.
fn sink(sink: &Actor, wanted: StoreUse, actors: &[Actor], edges: &[Edge], report: &mut Report) {
    let above: Vec<&str> = of(edges, |edge| edge.edge.to == sink.name, |edge| &edge.edge.from);
    let [store] = above.as_slice() else {
        report
            .add(&sink.key, "does not stand directly behind one spill store")
            .expected(needed(sink));
        return;
    };
    if !is_always(actors, store, report) {
        report
            .add(&sink.key, format!("`{store}` in front of it is no durable store"))
            .expected(needed(sink));
    }
    let beside: Vec<&str> = of(
        edges,
        |edge| edge.edge.from == *store && edge.edge.to != sink.name,
        |edge| &edge.edge.to,
    );
    if wanted == StoreUse::Cursors && !beside.is_empty() {
        let message = format!("its store feeds {} too", beside.join(", "));
        report
            .add(&sink.key, message)
            .expected("a store that feeds this sink alone: its clients have cursors of their own there");
    }
}

fn needed(sink: &Actor) -> String {
    format!(
        "one arrow to `{}`, from a spill store with persist = \"always\"",
        sink.name
    )
}

/// True for a store that hands nothing down before it is durable. One whose own table is wrong passes: that is told already.
fn is_always(actors: &[Actor], name: &str, report: &Report) -> bool {
    let Some(store) = actors.iter().find(|actor| actor.name == name) else {
        return false;
    };
    store.role == Role::Spill
        && (store.config.is_none()
            || !report.clean(&join(&store.key, "persist"))
            || spill(store).is_some_and(|spill| spill.persist == Persist::Always))
}

fn spill(actor: &Actor) -> Option<&SpillConfig> {
    match &actor.config.as_ref()?.host {
        HostConfig::Spill(spill) => Some(spill),
        _ => None,
    }
}

/// One end of the edges that fit.
fn of<'e>(edges: &'e [Edge], fits: impl Fn(&Edge) -> bool, end: impl Fn(&'e Edge) -> &'e String) -> Vec<&'e str> {
    let fitting = edges.iter().filter(|edge| fits(edge));
    fitting.map(|edge| end(edge).as_str()).collect()
}
