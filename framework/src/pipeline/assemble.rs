//! Starts the actors of a plan: which Arbiter each runs on, and who talks to whom.

use std::collections::BTreeMap;

use actix::prelude::*;

use super::RunOptions;
use super::finder::Asked;
use super::plan::{Plan, Stage};
use crate::actors::processor::{Processor, ProcessorParts};
use crate::actors::reader::{Reader, ReaderParts};
use crate::actors::sender::{Sender, SenderParts, StoreAbove};
use crate::actors::spill::{Spill, SpillParts};
use crate::actors::{Ended, Order, arbiter};
use crate::config::{ActorConfig, EdgeConfig, HostConfig, PipelineConfig, Role};
use crate::error::{Error, Result};
use crate::find::Find;
use crate::flight::{Below, BelowEdge};
use crate::mailbox::{Arrival, Edge, EdgeMeters};
use crate::plugin::store_reader::{Link, StoreUnread};
use crate::plugin::{Context as PluginContext, FramingSpec, Placement, REJECTED, Registry, StoreReader};
use crate::spill::Streams;
use crate::supervisor::{Started, Supervisor};
use crate::telemetry::{Meters, Tracer, WatchedEdge, now_ns};
use crate::units::Period;

/// What starting left behind.
pub(super) struct Assembled {
    pub(super) meters: BTreeMap<String, Meters>,
    pub(super) edges: Vec<(EdgeConfig, EdgeMeters)>,
    pub(super) arbiters: Vec<Arbiter>,
    /// Who is asked for a message, downstream first.
    pub(super) finds: Vec<Asked>,
}

pub(super) fn assemble(
    config: &PipelineConfig,
    plan: &Plan,
    registry: &Registry,
    options: &RunOptions,
    supervisor: &Addr<Supervisor>,
) -> Result<Assembled> {
    let mut assembly = Assembly {
        config,
        registry,
        options,
        supervisor,
        edges: config
            .edges
            .iter()
            .map(|edge| (edge.clone(), EdgeMeters::default()))
            .collect(),
        arrivals: BTreeMap::new(),
        streams: BTreeMap::new(),
        epoch: None,
        meters: BTreeMap::new(),
        arbiters: vec![arbiter()?],
        finds: Vec::new(),
        unread: BTreeMap::new(),
    };
    let started = plan.stages.iter().try_for_each(|stage| assembly.start(stage));
    if let Err(error) = started {
        for arbiter in &assembly.arbiters {
            arbiter.stop();
        }
        return Err(error);
    }
    Ok(Assembled {
        meters: assembly.meters,
        edges: assembly.edges,
        arbiters: assembly.arbiters,
        finds: assembly.finds,
    })
}

struct Assembly<'a> {
    config: &'a PipelineConfig,
    registry: &'a Registry,
    options: &'a RunOptions,
    supervisor: &'a Addr<Supervisor>,
    edges: Vec<(EdgeConfig, EdgeMeters)>,
    arrivals: BTreeMap<String, Recipient<Arrival>>,
    /// By store: how far it has the streams of other Aqueducts.
    streams: BTreeMap<String, Streams>,
    /// The latest of the stores that are open: each begins later than in every earlier run.
    epoch: Option<u64>,
    meters: BTreeMap<String, Meters>,
    /// The first is the data Arbiter.
    arbiters: Vec<Arbiter>,
    finds: Vec<Asked>,
    /// Stores that are not started yet, whose readers are.
    unread: BTreeMap<String, StoreUnread>,
}

impl Assembly<'_> {
    fn start(&mut self, stage: &Stage) -> Result<()> {
        let actor = &self.config.actors[stage.actor];
        let context = PluginContext::new(&self.config.name, &actor.name, &self.config.folder)
            .with_flight(self.below(&actor.name), self.options.journal.clone());
        self.meters.insert(actor.name.clone(), context.meters.clone());
        match &actor.host {
            HostConfig::Source(_) => self.source(actor, stage, context),
            HostConfig::Spill(_) => self.spill(actor, stage, context),
            HostConfig::Processor(_) => self.processor(actor, stage, context),
            HostConfig::Sink(_) => self.sender(actor, stage, context),
        }
    }

    /// The edges below an actor. Those downstream are started first, so that their meters are known.
    fn below(&self, actor: &str) -> Below {
        let (mut reached, mut found) = (vec![actor], Vec::new());
        let mut at = 0;
        while let Some(from) = reached.get(at).copied() {
            at += 1;
            for (edge, meters) in self.edges.iter().filter(|(edge, _)| edge.from == from) {
                let to = self.config.actors.iter().find(|actor| actor.name == edge.to);
                let (Some(to), Some(counted)) = (to, self.meters.get(&edge.to)) else {
                    continue;
                };
                found.push(BelowEdge {
                    from: edge.from.clone(),
                    to: edge.to.clone(),
                    role: to.role,
                    edge: meters.clone(),
                    meters: counted.clone(),
                });
                if !reached.contains(&to.name.as_str()) {
                    reached.push(&to.name);
                }
            }
        }
        Below::new(found)
    }

    fn source(&mut self, actor: &ActorConfig, stage: &Stage, context: PluginContext) -> Result<()> {
        let HostConfig::Source(host) = &actor.host else {
            return Ok(());
        };
        let source = self
            .registry
            .source_blueprint(&actor.plugin, &actor.settings)
            .ok_or_else(|| unknown(actor))?;
        let placement = source.about.placement;
        let parts = ReaderParts {
            source,
            // Stores are downstream, so they are open by now.
            epoch: self.epoch.unwrap_or_else(now_ns),
            framing: self.framing(actor)?,
            partial_limit: bytes(host.partial_bytes.bytes()),
            on_partial: host.on_partial,
            edges: self.outgoing(stage, ""),
            streams: self.streams_below(actor),
            tracer: self.tracer(actor, stage, &context),
            supervisor: self.ended(),
            context,
        };
        let arbiter = self.arbiter(placement)?;
        let addr = Reader::start_in_arbiter(&arbiter, move |_| Reader::new(parts));
        self.started(actor, addr.clone().recipient(), addr.recipient());
        Ok(())
    }

    fn spill(&mut self, actor: &ActorConfig, stage: &Stage, context: PluginContext) -> Result<()> {
        let HostConfig::Spill(host) = &actor.host else {
            return Ok(());
        };
        let parts = SpillParts {
            config: host.clone(),
            behind_store: behind_store(self.config, &actor.name),
            takes_streams: self.takes_streams(actor),
            upstream: stage.upstream.clone(),
            edges: self.outgoing(stage, ""),
            readers: self.unread.remove(&actor.name),
            tracer: self.tracer(actor, stage, &context),
            supervisor: self.ended(),
            context,
        };
        let store = Spill::open(parts)?;
        self.streams.insert(actor.name.clone(), store.streams().clone());
        self.epoch = self.epoch.max(Some(store.epoch()));
        let arbiter = self.arbiter(Placement::Data)?;
        let addr = Spill::start_in_arbiter(&arbiter, move |_| store.into_actor());
        self.arrivals.insert(actor.name.clone(), addr.clone().recipient());
        self.started(actor, addr.clone().recipient(), addr.recipient());
        Ok(())
    }

    fn processor(&mut self, actor: &ActorConfig, stage: &Stage, context: PluginContext) -> Result<()> {
        let HostConfig::Processor(host) = &actor.host else {
            return Ok(());
        };
        let plugin = self
            .registry
            .processor_blueprint(&actor.plugin, &actor.settings)
            .ok_or_else(|| unknown(actor))?;
        let placement = match host.own_thread {
            Some(true) => Placement::Own,
            Some(false) => Placement::Data,
            None => plugin.about.placement,
        };
        let outputs = stage
            .outputs
            .keys()
            .map(|output| (output.clone(), self.outgoing(stage, output)));
        let parts = ProcessorParts {
            plugin,
            window_bytes: bytes(host.window_bytes.bytes()),
            workers: usize::from(host.workers.get()),
            placement,
            upstream: stage.upstream.clone(),
            outputs: outputs.collect(),
            tracer: self.tracer(actor, stage, &context),
            supervisor: self.ended(),
            context,
        };
        // The actor itself only dispatches: plugins that may block run on worker threads, which it starts.
        let arbiter = self.arbiter(Placement::Data)?;
        let addr = Processor::start_in_arbiter(&arbiter, move |_| Processor::new(parts));
        self.arrivals.insert(actor.name.clone(), addr.clone().recipient());
        self.started(actor, addr.clone().recipient(), addr.recipient());
        Ok(())
    }

    fn sender(&mut self, actor: &ActorConfig, stage: &Stage, context: PluginContext) -> Result<()> {
        let HostConfig::Sink(host) = &actor.host else {
            return Ok(());
        };
        let sink = self
            .registry
            .sink_blueprint(&actor.plugin, &actor.settings)
            .ok_or_else(|| unknown(actor))?;
        let placement = sink.about.placement;
        let parts = SenderParts {
            sink,
            framing: self.framing(actor)?,
            window_bytes: bytes(host.window_bytes.bytes()),
            drain_deadline: host.drain_deadline.map(Period::duration),
            retry: host.retry.clone(),
            upstream: stage.upstream.clone(),
            rejected: self.outgoing(stage, REJECTED),
            store: stage.store.as_deref().and_then(|name| self.store_above(name)),
            reader: self.reader(stage, &context),
            tracer: self.tracer(actor, stage, &context),
            supervisor: self.ended(),
            context,
        };
        let arbiter = self.arbiter(placement)?;
        let addr = Sender::start_in_arbiter(&arbiter, move |_| Sender::new(parts));
        self.arrivals.insert(actor.name.clone(), addr.clone().recipient());
        self.started(actor, addr.clone().recipient(), addr.recipient());
        Ok(())
    }

    fn store_above(&self, name: &str) -> Option<StoreAbove> {
        let HostConfig::Spill(spill) = &self.config.actor(name)?.host else {
            return None;
        };
        Some(StoreAbove {
            name: name.to_owned(),
            persist: spill.persist,
            in_flight_bytes: spill.in_flight_bytes.bytes(),
        })
    }

    /// The store in front of a sink, when it is one that hands nothing down.
    fn reader(&mut self, stage: &Stage, context: &PluginContext) -> Option<StoreReader> {
        let (edge, _) = self.edges.get(*stage.upstream.first()? as usize)?;
        let store = self.config.actor(&edge.from)?;
        let HostConfig::Spill(spill) = &store.host else {
            return None;
        };
        spill.retain_bytes?;
        let (link, unread) = Link::new(&context.meters);
        self.unread.insert(store.name.clone(), unread);
        Some(StoreReader::new(link))
    }

    /// How far the store behind a source has the streams that come through it.
    fn streams_below(&self, source: &ActorConfig) -> Streams {
        let mut below = self.config.edges.iter().filter(|edge| edge.from == source.name);
        let streams = below.find_map(|edge| self.streams.get(&edge.to));
        streams.cloned().unwrap_or_default()
    }

    /// Whether a source that asks for it stands directly in front of a store.
    fn takes_streams(&self, store: &ActorConfig) -> bool {
        let above = self.config.edges.iter().filter(|edge| edge.to == store.name);
        let mut above = above.filter_map(|edge| self.config.actor(&edge.from));
        above.any(|source| {
            let plan = self.registry.source_blueprint(&source.plugin, &source.settings);
            source.role == Role::Source && plan.is_some_and(|plan| plan.about.info.feeds_store)
        })
    }

    fn outgoing(&self, stage: &Stage, output: &str) -> Vec<Edge> {
        let edges = stage.outputs.get(output).map_or(&[][..], Vec::as_slice);
        let edges = edges.iter().filter_map(|(id, to)| {
            Some(Edge {
                id: *id,
                to: self.arrivals.get(to)?.clone(),
                meters: self.edges[*id as usize].1.clone(),
            })
        });
        edges.collect()
    }

    fn framing(&self, actor: &ActorConfig) -> Result<FramingSpec> {
        let config = actor.framing.clone().unwrap_or_default();
        self.registry.framing_spec(&config)
    }

    fn tracer(&self, actor: &ActorConfig, stage: &Stage, context: &PluginContext) -> Tracer {
        // A store's own batches have waited in itself.
        let store = match &actor.host {
            HostConfig::Spill(_) => Some(actor.name.as_str()),
            _ => stage.store.as_deref(),
        };
        let edges = stage.outputs.values().flatten().filter_map(|(id, to)| {
            let (edge, meters) = self.edges.get(*id as usize)?;
            let is_store = matches!(self.config.actor(to)?.host, HostConfig::Spill(_));
            let spilling = is_store.then(|| self.meters.get(to).map(|meters| meters.gauge("spilling")));
            Some(WatchedEdge::new(&edge.to_string(), meters.clone(), spilling.flatten()))
        });
        Tracer::new(&actor.name, &self.options.spans).placed(&context.meters, store, edges.collect())
    }

    fn ended(&self) -> Recipient<Ended> {
        self.supervisor.clone().recipient()
    }

    fn arbiter(&mut self, placement: Placement) -> Result<ArbiterHandle> {
        if placement == Placement::Own {
            self.arbiters.push(arbiter()?);
        }
        let index = if placement == Placement::Own {
            self.arbiters.len() - 1
        } else {
            0
        };
        Ok(self.arbiters[index].handle())
    }

    fn started(&mut self, actor: &ActorConfig, orders: Recipient<Order>, find: Recipient<Find>) {
        self.finds.push(Asked {
            name: actor.name.clone(),
            role: actor.role,
            find,
        });
        self.supervisor.do_send(Started {
            actor: actor.name.clone(),
            orders,
        });
    }
}

/// Whether a spill store stands somewhere upstream. The flow has no cycle: the plan was made.
fn behind_store(config: &PipelineConfig, name: &str) -> bool {
    let above = config.edges.iter().filter(|edge| edge.to == name);
    let mut above = above.filter_map(|edge| config.actor(&edge.from));
    above.any(|actor| actor.role == Role::Spill || behind_store(config, &actor.name))
}

fn unknown(actor: &ActorConfig) -> Error {
    Error::fatal(format!(
        "`{}` is no {} this program has (actor `{}`); run `aqueduct plugins`",
        actor.plugin, actor.role, actor.name
    ))
}

fn bytes(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
