//! A pipeline with a store in the place of its sources. Pure.

use std::collections::BTreeSet;

use crate::framework::config::{ActorConfig, EdgeConfig, HostConfig, PipelineConfig, Role, SourceHost};

/// The plugin that reads a store.
const PLUGIN: &str = "spill";

/// What the new source is called, unless the pipeline has an actor of that name.
const NAME: &str = "replay";

/// What the new source is called in this pipeline.
pub(super) fn source_name(pipeline: &PipelineConfig) -> String {
    let mut name = NAME.to_owned();
    while pipeline.actor(&name).is_some() {
        name.push('_');
    }
    name
}

/// Who gets the frames: `into`, or else those that the sources feed.
///
/// # Errors
/// When nobody is called `into`, or not all sources feed the same actors, so that it is not clear who is meant.
pub(super) fn targets(pipeline: &PipelineConfig, into: Option<&str>) -> Result<Vec<String>, String> {
    let sources = || pipeline.actors.iter().filter(|actor| actor.role == Role::Source);
    if let Some(into) = into {
        let others = pipeline.actors.iter().filter(|actor| actor.role != Role::Source);
        let names: Vec<_> = others.map(|actor| actor.name.as_str()).collect();
        if !names.contains(&into) {
            return Err(format!("--into {into}: expected one of {}", names.join(", ")));
        }
        return Ok(vec![into.to_owned()]);
    }
    let fed = |source: &ActorConfig| -> BTreeSet<&str> {
        let edges = pipeline.edges.iter().filter(|edge| edge.from == source.name);
        edges.map(|edge| edge.to.as_str()).collect()
    };
    let all: BTreeSet<_> = sources().map(fed).collect();
    match all.first() {
        Some(first) if all.len() == 1 => Ok(first.iter().map(|name| (*name).to_owned()).collect()),
        _ => {
            let names: BTreeSet<_> = all.into_iter().flatten().collect();
            let names: Vec<_> = names.into_iter().collect();
            Err(format!(
                "its sources feed different actors ({}): say with --into which of them gets the frames",
                names.join(", ")
            ))
        }
    }
}

/// The pipeline with a source of these settings in front of `targets`, without what the frames cannot get to.
pub(super) fn reroute(pipeline: &PipelineConfig, targets: &[String], settings: serde_json::Value) -> PipelineConfig {
    let name = source_name(pipeline);
    let mut edges: Vec<_> = targets.iter().map(|to| edge(&name, to)).collect();
    let mut reached: BTreeSet<&str> = BTreeSet::new();
    let mut open: Vec<&str> = targets.iter().map(String::as_str).collect();
    while let Some(from) = open.pop() {
        if reached.insert(from) {
            let next = pipeline.edges.iter().filter(|edge| edge.from == from);
            open.extend(next.map(|edge| edge.to.as_str()));
        }
    }
    let kept = |name: &str| reached.contains(name);
    edges.extend(pipeline.edges.iter().filter(|edge| kept(&edge.from)).cloned());
    let framing = pipeline
        .actors
        .iter()
        .find_map(|actor| actor.framing.clone().filter(|_| actor.role == Role::Source));
    let source = ActorConfig {
        name,
        role: Role::Source,
        plugin: PLUGIN.to_owned(),
        settings,
        host: HostConfig::Source(SourceHost::default()),
        framing,
    };
    let others = pipeline.actors.iter().filter(|actor| kept(&actor.name)).cloned();
    PipelineConfig {
        // Of its own, so that the pipeline itself may run meanwhile.
        name: format!("{}-{NAME}", pipeline.name),
        actors: [source].into_iter().chain(others).collect(),
        edges,
        ..pipeline.clone()
    }
}

fn edge(from: &str, to: &str) -> EdgeConfig {
    EdgeConfig {
        from: from.to_owned(),
        output: String::new(),
        to: to.to_owned(),
    }
}
