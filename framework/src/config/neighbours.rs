//! What some plugins need beside them: a spill store that says what is durable.

mod waiting;

use super::actors::Actor;
use super::catalog::Catalog;
use super::flow::Edge;
use super::host::{HostConfig, Persist, SpillConfig, WhenFull};
use super::pipeline::Role;
use super::report::{Report, join};
use crate::plugin::StoreUse;

/// Checks the neighbours of sources that feed a store, and of sinks that use the one in front of them.
pub(super) fn check(actors: &[Actor], edges: &[Edge], catalog: &dyn Catalog, report: &mut Report) {
    for actor in actors {
        match actor.role {
            Role::Spill => store(actor, actors, edges, catalog, report),
            Role::Source if actor.info.as_ref().is_some_and(|info| info.feeds_store) => {
                source(actor, actors, edges, report);
            }
            Role::Source => {
                let Some(config) = &actor.config else { continue };
                let awaits = catalog.awaits(&config.plugin, &config.settings);
                waiting::check(actor, awaits, actors, edges, report);
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

/// A store that retains frames for the cursors of its readers, and one that has none.
fn store(store: &Actor, actors: &[Actor], edges: &[Edge], catalog: &dyn Catalog, report: &mut Report) {
    let Some(config) = spill(store) else { return };
    let below: Vec<&str> = of(edges, |edge| edge.edge.from == store.name, |edge| &edge.edge.to);
    let reader = actors
        .iter()
        .filter(|actor| below.contains(&actor.name.as_str()))
        .find_map(|actor| Some((actor, cursors(actor, catalog)?)));
    let key = |name: &str| join(&store.key, name);
    // What a sink asks for is not known while its own table is wrong.
    let mut sinks = actors.iter().filter(|actor| below.contains(&actor.name.as_str()));
    let unsure = sinks.any(|actor| !report.clean(&actor.key));
    match (reader, config.retain_bytes) {
        (None, _) if unsure => {}
        (Some((reader, _)), None) => {
            report
                .add(
                    &store.key,
                    format!("does not say how much it retains for the clients of `{}`", reader.name),
                )
                .expected("`retain_bytes` in this table, at most `max_bytes`");
        }
        (Some(_), Some(bytes)) if bytes > config.max_bytes => {
            let message = format!("is more than max_bytes, {}", config.max_bytes);
            report
                .add(&key("retain_bytes"), message)
                .expected("at most `max_bytes`");
        }
        (Some(_), Some(_)) if config.when_full == WhenFull::DropNewest => {
            report
                .add(
                    &key("when_full"),
                    "does not fit a store that retains frames for its readers",
                )
                .expected("\"drop_oldest\", to go on when the disk is full, or \"block\"");
        }
        (Some((reader, at_least)), Some(_)) if at_least > config.max_cursors => {
            let message = format!(
                "is {}, but `{}` names {at_least} clients",
                config.max_cursors, reader.name
            );
            report
                .add(&key("max_cursors"), message)
                .expected(format!("at least {at_least}"));
        }
        (None, Some(_)) => {
            report
                .add(
                    &key("retain_bytes"),
                    "is for a store that is read by cursors, and this one is not",
                )
                .expected("no retain_bytes, or one arrow to a sink whose clients have cursors of their own");
        }
        (None, None) if config.retain_age.is_some() => {
            report
                .add(
                    &key("retain_age"),
                    "is for a store that is read by cursors, and this one is not",
                )
                .expected("no retain_age");
        }
        _ => {}
    }
}

/// For a sink whose clients have cursors in the store in front of it: how many at least.
fn cursors(actor: &Actor, catalog: &dyn Catalog) -> Option<u32> {
    let config = actor.config.as_ref().filter(|_| actor.role == Role::Sink)?;
    match catalog.store_use(&config.plugin, &config.settings) {
        StoreUse::Cursors { at_least } => Some(at_least),
        StoreUse::Any | StoreUse::Positions => None,
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
    let stored = actors
        .iter()
        .any(|actor| actor.name == *store && actor.role == Role::Spill);
    if matches!(wanted, StoreUse::Cursors { .. }) && stored && !beside.is_empty() {
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
