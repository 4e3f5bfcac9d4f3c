//! What must be known before an actor is started: edge numbers, start order, who keeps frames for whom. Pure.

use std::collections::BTreeMap;

use crate::config::{ActorConfig, PipelineConfig, Role};
use crate::error::{Error, Result};
use crate::mailbox::EdgeId;

/// One actor with its edges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Its index in the config's actors.
    pub actor: usize,
    /// Edges that feed it.
    pub upstream: Vec<EdgeId>,
    /// Its outputs, each with the edges (and the actor at their end) that leave it.
    pub outputs: BTreeMap<String, Vec<(EdgeId, String)>>,
    /// The nearest spill store upstream, which keeps what this actor does not take.
    pub store: Option<String>,
}

/// The stages in start order: whoever receives starts before whoever sends to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Downstream first.
    pub stages: Vec<Stage>,
}

impl Plan {
    /// Plans a checked config.
    ///
    /// # Errors
    /// When the flow has a cycle or an edge without an actor: the checker reports both, so this is for configs made in code.
    pub fn new(config: &PipelineConfig) -> Result<Self> {
        let mut order = Vec::new();
        for actor in &config.actors {
            visit(config, &actor.name, &mut order, &mut Vec::new())?;
        }
        let stages = order.iter().map(|name| stage(config, name)).collect::<Option<_>>();
        let stages =
            stages.ok_or_else(|| Error::fatal("the flow names an actor that does not exist; run `aqueduct check`"))?;
        Ok(Self { stages })
    }
}

/// Appends `name` behind everything downstream of it.
fn visit<'a>(
    config: &'a PipelineConfig,
    name: &'a str,
    order: &mut Vec<&'a str>,
    path: &mut Vec<&'a str>,
) -> Result<()> {
    if order.contains(&name) {
        return Ok(());
    }
    if path.contains(&name) {
        return Err(Error::fatal(format!(
            "the flow has a cycle through `{name}`; run `aqueduct check`"
        )));
    }
    path.push(name);
    for edge in config.edges.iter().filter(|edge| edge.from == name) {
        visit(config, &edge.to, order, path)?;
    }
    path.pop();
    order.push(name);
    Ok(())
}

fn stage(config: &PipelineConfig, name: &str) -> Option<Stage> {
    let actor = config.actors.iter().position(|actor| actor.name == name)?;
    let mut outputs: BTreeMap<String, Vec<(EdgeId, String)>> = BTreeMap::new();
    let mut upstream = Vec::new();
    for (id, edge) in config.edges.iter().enumerate() {
        if edge.from == name {
            let edges = outputs.entry(edge.output.clone()).or_default();
            edges.push((id as EdgeId, edge.to.clone()));
        }
        if edge.to == name {
            upstream.push(id as EdgeId);
        }
    }
    let store = store_above(config, name).map(|store| store.name.clone());
    Some(Stage {
        actor,
        upstream,
        outputs,
        store,
    })
}

/// The nearest store that every path to `name` passes last; none when a path has none.
fn store_above<'a>(config: &'a PipelineConfig, name: &str) -> Option<&'a ActorConfig> {
    let mut found = None;
    for edge in config.edges.iter().filter(|edge| edge.to == name) {
        let above = config.actor(&edge.from)?;
        let store = if above.role == Role::Spill {
            Some(above)
        } else {
            store_above(config, &above.name)
        };
        found = Some(store?);
    }
    found
}
