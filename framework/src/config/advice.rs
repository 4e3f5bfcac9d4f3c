//! What works, but probably not as meant.

use super::actors::Actor;
use super::flow::Edge;
use super::graph::{reach, sources};
use super::host::{HostConfig, SinkHost, WhenFull};
use super::mistake::Mistake;
use super::pipeline::{ActorConfig, Role};
use super::process::AdminConfig;
use super::report::{Report, join};
use crate::framing::OnOversize;
use crate::plugin::REJECTED;

/// Bytes of the path of a Unix socket (`sun_path` without its NUL, unix(7)).
const SOCKET_PATH_MAX: usize = 107;

/// The warnings about one pipeline without mistakes.
pub(super) fn of(actors: &[Actor], edges: &[Edge], report: &Report) -> Vec<Mistake> {
    let mut warnings = Vec::new();
    for actor in actors {
        let Some(config) = &actor.config else { continue };
        match &config.host {
            HostConfig::Sink(sink) => {
                warnings.extend(unbuffered(actor, actors, edges, report));
                warnings.extend(thrown_away(actor, sink, edges, report));
                warnings.extend(misfit(actor, config, actors, edges, report));
            }
            HostConfig::Source(_) => warnings.extend(oversize(actor, config, report)),
            _ => {}
        }
    }
    warnings.extend(blocking(actors, edges, report));
    warnings.sort_by_key(|warning| warning.line);
    warnings
}

/// An admin socket that cannot be made: the pipelines run without it.
pub(super) fn of_socket(admin: &AdminConfig, report: &Report) -> Option<Mistake> {
    let bytes = admin.socket.as_ref()?.as_os_str().len();
    let text =
        format!("its path has {bytes} bytes, too many for a socket: `status` and `trace` will not find the pipeline");
    let mut warning = report.at("admin.socket", text);
    warning.expected(format!("at most {SOCKET_PATH_MAX} bytes with all folders"));
    (bytes > SOCKET_PATH_MAX).then_some(warning)
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
    if keeps_rejected(sink, edges) {
        return None;
    }
    let message = "frames that it gives up are thrown away: nothing takes its dead letters";
    let mut warning = report.at(&join(&join(&sink.key, "retry"), "give_up_after"), message);
    warning.expected(format!("`{}.rejected -> dead_letters` in the flow", sink.name));
    Some(warning)
}

fn keeps_rejected(actor: &Actor, edges: &[Edge]) -> bool {
    let kept = |edge: &Edge| edge.edge.from == actor.name && edge.edge.output == REJECTED;
    edges.iter().any(kept)
}

/// A sink whose own framing cannot hold what its sources may send, and whose dead letters nobody takes.
fn misfit(sink: &Actor, config: &ActorConfig, actors: &[Actor], edges: &[Edge], report: &Report) -> Option<Mistake> {
    let framing = config.framing.as_ref().filter(|_| !keeps_rejected(sink, edges))?;
    let mut found: Vec<(String, &str)> = Vec::new();
    for source in sources(actors, edges, &sink.name) {
        let sent = source.config.as_ref().and_then(|config| config.framing.as_ref());
        found.extend(
            sent.and_then(|sent| framing.cannot_hold(sent))
                .map(|what| (what, source.name.as_str())),
        );
    }
    let (what, _) = found.first()?;
    let names: Vec<&str> = found.iter().map(|(_, name)| *name).collect();
    let message = format!(
        "frames {what} cannot be written in this framing and are lost, and {} may send such: nothing takes its dead letters",
        named(&names)
    );
    let mut warning = report.at(&join(&sink.key, "framing"), message);
    // Where dead letters end there is nowhere to send their dead letters.
    let only_letters = edges
        .iter()
        .filter(|edge| edge.edge.to == sink.name)
        .all(|edge| edge.edge.output == REJECTED);
    warning.expected(match only_letters {
        true => "a framing that holds whatever comes, such as that of its sources".to_owned(),
        false => format!(
            "`{}.rejected -> dead_letters` in the flow, or a framing that holds whatever comes",
            sink.name
        ),
    });
    Some(warning)
}

/// A source with a limit of its own for frames that does not say what becomes of longer ones.
fn oversize(source: &Actor, config: &ActorConfig, report: &Report) -> Option<Mistake> {
    let table = join(&source.key, "framing");
    let limit = join(&table, "max_frame_bytes");
    let discards = config.framing.as_ref()?.on_oversize() == Some(OnOversize::Discard);
    if !discards || !report.places.is_written(&limit) || report.places.is_written(&join(&table, "on_oversize")) {
        return None;
    }
    let mut warning = report.at(&limit, "longer frames are thrown away, and count as lost");
    warning.expected("on_oversize = \"close\", or \"discard\", which accepts it");
    Some(warning)
}

/// `a`, `b` and `c`, each in backticks.
fn named(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

/// Spill stores that block sources which will not wait, unless it is written that they do: said once for all of them.
fn blocking(actors: &[Actor], edges: &[Edge], report: &Report) -> Option<Mistake> {
    let hurries = |actor: &&Actor| actor.info.as_ref().is_some_and(|info| info.will_not_wait);
    let sources: Vec<&Actor> = actors.iter().filter(hurries).collect();
    let held_up = |store: &Actor| -> Vec<&str> {
        let reached = |source: &&&Actor| reach(edges, &source.name).contains(store.name.as_str());
        sources
            .iter()
            .filter(reached)
            .map(|source| source.name.as_str())
            .collect()
    };
    let stores: Vec<&Actor> = actors
        .iter()
        .filter(|store| blocks(store) && !report.places.is_written(&when_full(store)) && !held_up(store).is_empty())
        .collect();
    let (first, others) = stores.split_first()?;
    let mut names: Vec<&str> = stores.iter().flat_map(|store| held_up(store)).collect();
    names.sort_unstable();
    names.dedup();
    let and = if others.is_empty() {
        String::new()
    } else {
        let others: Vec<&str> = others.iter().map(|store| store.name.as_str()).collect();
        format!(", or {} is", named(&others))
    };
    let ends = match names.len() {
        1 => "is not read any more and its peer closes the connection",
        _ => "are not read any more and their peers close the connections",
    };
    let message = format!("when it is full{and}, {} {ends}", named(&names));
    let mut warning = report.at(&when_full(first), message);
    warning.expected(
        "enough max_bytes for the longest stall, or when_full = \"drop_newest\" or \"drop_oldest\"; \"block\", written out, accepts it",
    );
    Some(warning)
}

/// True for a store that takes nothing more when it is full. One that retains deletes the oldest before it is.
fn blocks(store: &Actor) -> bool {
    matches!(
        store.config.as_ref().map(|config| &config.host),
        Some(HostConfig::Spill(spill)) if spill.when_full == WhenFull::Block && spill.retain_bytes.is_none()
    )
}

fn when_full(store: &Actor) -> String {
    join(&store.key, "when_full")
}
