//! What presses where, in sentences.

use super::{bytes, number, time};
use crate::framework::pipeline::{ActorStatus, PipelineStatus, Pressure};

/// What presses where, one sentence per edge that does not flow; one sentence that all flows otherwise.
pub(crate) fn pressure(status: &PipelineStatus) -> Vec<String> {
    let troubled = status.edges.iter().filter(|edge| edge.pressure != Pressure::Flowing);
    let mut sentences: Vec<_> = troubled
        .filter(|edge| edge.pressure != Pressure::Spilling || moves(status, &edge.to))
        .map(|edge| {
            let to = status.actors.iter().find(|actor| actor.name == edge.to);
            let taken = to.map_or(0.0, |actor| actor.bytes_per_second);
            match edge.pressure {
                Pressure::Blocked => {
                    let since = time(edge.waiting_ns as f64 / 1e9);
                    let store = status
                        .actors
                        .iter()
                        .find(|actor| actor.name == edge.from && actor.role == "spill store");
                    let word = match store {
                        Some(store) if number(store, "deleted_frames") > 0 => {
                            "; frames wait in it, and its files were deleted"
                        }
                        Some(_) => "; frames wait in it",
                        None => "",
                    };
                    format!(
                        "{}: blocked for {since} by {}, which takes {}/s{word}",
                        edge.edge,
                        edge.to,
                        bytes(taken)
                    )
                }
                Pressure::Saturated => format!("{}: saturated, {} takes {}/s", edge.edge, edge.to, bytes(taken)),
                _ => to.map_or_else(String::new, |store| spilling(&edge.edge, store)),
            }
        })
        .collect();
    if status.edges.iter().all(|edge| edge.pressure == Pressure::Flowing) {
        sentences.push("every edge flows".to_owned());
    }
    sentences
}

/// True when anything goes into an actor or out of it. Of a store at rest its own line says all.
fn moves(status: &PipelineStatus, name: &str) -> bool {
    let mut actors = status.actors.iter().filter(|actor| actor.name == name);
    actors.any(|actor| actor.bytes_in_per_second >= 0.5 || actor.bytes_per_second >= 0.5)
}

/// Whom the actors above wait for, with what it says of itself; nothing when nobody waits.
pub(crate) fn waited_for(status: &PipelineStatus) -> String {
    let held_up = |actor: &&ActorStatus| {
        let mut edges = status.edges.iter();
        edges.any(|edge| edge.to == actor.name && edge.waiting_ns > 0)
    };
    let named: Vec<_> = (status.actors.iter().filter(held_up))
        .map(|actor| match actor.meters.texts.get("state") {
            Some(state) => format!(
                "{}, which takes {}/s ({state})",
                actor.name,
                bytes(actor.bytes_per_second)
            ),
            None => format!("{}, which takes {}/s", actor.name, bytes(actor.bytes_per_second)),
        })
        .collect();
    if named.is_empty() {
        return String::new();
    }
    format!("; it waits for {}", named.join(" and "))
}

pub(super) fn spilling(edge: &str, store: &ActorStatus) -> String {
    let (offered, taken) = (store.bytes_in_per_second, store.bytes_per_second);
    let growth = offered - taken;
    // Counted in frames: what waits takes other room in memory and on disk than its frames have bytes.
    let leaving = store.frames_per_second - store.frames_in_per_second;
    let future = if growth > 1.0 {
        filling(store, growth)
    } else if leaving > 0.0 {
        format!("empty in {}", time(number(store, "waiting_frames") as f64 / leaving))
    } else {
        format!("steady at {} frames", number(store, "waiting_frames"))
    };
    format!(
        "{edge}: {} is offered {}/s, passes on {}/s, spills {}/s, {future}",
        store.name,
        bytes(offered),
        bytes(taken),
        bytes(growth.max(0.0))
    )
}

/// When nothing more can be taken, because `max_bytes` are used up or because the disk has no more.
fn filling(store: &ActorStatus, growth: f64) -> String {
    let left = number(store, "disk_max_bytes").saturating_sub(number(store, "disk_bytes"));
    match store.meters.numbers.get("disk_free_bytes") {
        Some(free) if *free < left => format!("the disk is full in {}", time(*free as f64 / growth)),
        _ => format!("full in {}", time(left as f64 / growth)),
    }
}
