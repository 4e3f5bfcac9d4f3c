//! What must hold of a flow as a whole: known ends, no cycle, everything connected, a way from every source to a sink.

use std::collections::HashSet;

use super::actors::Actor;
use super::flow::Edge;
use super::pipeline::Role;
use super::report::Report;

/// The output that every processor and sink has, for frames it could not deal with.
const REJECTED: &str = "rejected";

/// Checks the edges, and gives those that are right, each once.
pub(super) fn check(actors: &[Actor], edges: Vec<Edge>, report: &mut Report) -> Vec<Edge> {
    let before = report.mistakes.len();
    let mut known: Vec<Edge> = Vec::new();
    for edge in &edges {
        if known.iter().any(|other| other.edge == edge.edge) {
            report.add(&edge.key, format!("`{}` is given twice", edge.edge));
        } else if ends(actors, edge, report) {
            known.push(edge.clone());
        }
    }
    // A name that is probably meant by a wrong one is not reported as left out.
    let meant: Vec<String> = report.mistakes[before..]
        .iter()
        .filter_map(|mistake| mistake.nearest.clone())
        .collect();
    let left: Vec<&Actor> = actors.iter().filter(|actor| !meant.contains(&actor.name)).collect();
    connected(&left, &edges, report);
    if let Some((key, path)) = cycle(&known) {
        report.add(&key, format!("the flow goes round in a circle: {}", path.join(" -> ")));
    } else if known.len() == edges.len() {
        ways(actors, &known, report);
    }
    known
}

/// All sources from which frames can get to `sink`.
pub(super) fn sources<'a>(actors: &'a [Actor], edges: &[Edge], sink: &str) -> Vec<&'a Actor> {
    let all = actors.iter().filter(|actor| actor.role == Role::Source);
    all.filter(|source| reach(edges, &source.name).contains(sink)).collect()
}

/// Everything that frames of `from` can get to.
pub(super) fn reach<'e>(edges: &'e [Edge], from: &str) -> HashSet<&'e str> {
    let next = |from: &str| -> Vec<&'e str> {
        edges
            .iter()
            .filter(|edge| edge.edge.from == from)
            .map(|edge| edge.edge.to.as_str())
            .collect()
    };
    let mut open = next(from);
    let mut seen = HashSet::new();
    while let Some(name) = open.pop() {
        if seen.insert(name) {
            open.extend(next(name));
        }
    }
    seen
}

/// Checks that both ends of an edge exist and may have it.
fn ends(actors: &[Actor], edge: &Edge, report: &mut Report) -> bool {
    let before = report.mistakes.len();
    let find = |name: &str| actors.iter().find(|actor| actor.name == name);
    for name in [&edge.edge.from, &edge.edge.to] {
        if find(name).is_none() {
            let names = actors.iter().map(|actor| actor.name.as_str());
            report
                .add(&edge.key, format!("no actor is called `{name}`"))
                .one_of(names, name);
        }
    }
    if let Some(to) = find(&edge.edge.to).filter(|to| to.role == Role::Source) {
        report
            .add(&edge.key, format!("`{}` sends to a source", edge.edge))
            .expected(format!("`{}` only before arrows", to.name));
    }
    if let Some(from) = find(&edge.edge.from) {
        output(from, edge, report);
    }
    report.mistakes.len() == before
}

/// Checks that the sender has that output.
fn output(from: &Actor, edge: &Edge, report: &mut Report) {
    let output = edge.edge.output.as_str();
    if from.role != Role::Spill && from.info.is_none() {
        return;
    }
    let declared = from.info.iter().flat_map(|info| &info.outputs).map(String::as_str);
    let rejects = matches!(from.role, Role::Processor | Role::Sink);
    let outputs: Vec<&str> = declared.chain(rejects.then_some(REJECTED)).collect();
    if output.is_empty() && from.role == Role::Sink {
        report
            .add(&edge.key, format!("`{}` comes from a sink", edge.edge))
            .expected(format!("`{}.{REJECTED}`", from.name));
    } else if !output.is_empty() && !outputs.contains(&output) {
        let mistake = report.add(
            &edge.key,
            format!("the {} `{}` has no output `{output}`", from.role, from.name),
        );
        mistake.one_of(outputs.iter().copied(), output);
        if outputs.is_empty() {
            mistake.expected(format!("`{}` alone", from.name));
        }
    }
}

/// Checks that every actor is in the flow, and that something sends to it.
fn connected(actors: &[&Actor], edges: &[Edge], report: &mut Report) {
    for actor in actors {
        let fed = edges.iter().any(|edge| edge.edge.to == actor.name);
        let feeds = edges.iter().any(|edge| edge.edge.from == actor.name);
        if !fed && !feeds {
            report.add(&actor.key, "is not in the flow");
        } else if !fed && actor.role != Role::Source {
            report.add(&actor.key, "nothing in the flow sends to it");
        }
    }
}

/// Checks that frames of every source get to a sink, and that spill stores are read.
fn ways(actors: &[Actor], edges: &[Edge], report: &mut Report) {
    let is_sink = |name: &str| {
        actors
            .iter()
            .any(|actor| actor.name == name && actor.role == Role::Sink)
    };
    for actor in actors
        .iter()
        .filter(|actor| matches!(actor.role, Role::Source | Role::Spill))
    {
        let ways = reach(edges, &actor.name);
        let in_flow = !ways.is_empty() || edges.iter().any(|edge| edge.edge.to == actor.name);
        if in_flow && !ways.into_iter().any(is_sink) {
            report.add(&actor.key, "has no way to a sink");
        }
    }
}

/// A way that leads back to its beginning, with the key of its last edge.
fn cycle(edges: &[Edge]) -> Option<(String, Vec<String>)> {
    let mut done = HashSet::new();
    edges
        .iter()
        .find_map(|edge| walk(edges, &edge.edge.from, &mut Vec::new(), &mut done))
}

fn walk<'e>(
    edges: &'e [Edge],
    at: &'e str,
    path: &mut Vec<&'e str>,
    done: &mut HashSet<&'e str>,
) -> Option<(String, Vec<String>)> {
    if done.contains(at) {
        return None;
    }
    path.push(at);
    for edge in edges.iter().filter(|edge| edge.edge.from == at) {
        let to = edge.edge.to.as_str();
        if let Some(start) = path.iter().position(|name| *name == to) {
            let around = path[start..]
                .iter()
                .chain([&to])
                .map(|name| (*name).to_owned())
                .collect();
            return Some((edge.key.clone(), around));
        }
        if let Some(found) = walk(edges, to, path, done) {
            return Some(found);
        }
    }
    path.pop();
    done.insert(at);
    None
}
