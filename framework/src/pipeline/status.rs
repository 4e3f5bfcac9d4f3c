//! What `status` shows: every actor and edge at one moment, and the pressure between two moments.

use serde::{Deserialize, Serialize};

use super::View;
use crate::telemetry::{Snapshot, now_ns, uptime_ns};

/// The state of an edge that is told to everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pressure {
    /// Demand is there when it is needed.
    Flowing,
    /// The upstream actor waits for demand more than half of the time.
    Saturated,
    /// The downstream actor is a store that writes to disk.
    Spilling,
    /// No demand for a second or more.
    Blocked,
}

/// One edge.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EdgeStatus {
    /// The edge as the flow writes it.
    pub edge: String,
    /// The upstream actor, which feels the pressure.
    pub from: String,
    /// The downstream actor, which causes it.
    pub to: String,
    /// Frames sent along it.
    pub frames: u64,
    /// Payload bytes sent along it.
    pub bytes: u64,
    /// All time the upstream actor has waited for demand, in nanoseconds.
    pub waited_ns: u64,
    /// How long the current wait lasts, in nanoseconds; 0 without one.
    pub waiting_ns: u64,
    /// Its state.
    pub pressure: Pressure,
}

/// One actor.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ActorStatus {
    /// Its name.
    pub name: String,
    /// `source`, `spill store`, `processor` or `sink`.
    pub role: String,
    /// Its plugin.
    pub plugin: String,
    /// Frames handed on per second since the sample before.
    pub frames_per_second: f64,
    /// Bytes handed on per second since the sample before.
    pub bytes_per_second: f64,
    /// Bytes taken in per second since the sample before.
    pub bytes_in_per_second: f64,
    /// Frames taken in per second since the sample before.
    #[serde(default)]
    pub frames_in_per_second: f64,
    /// Its counters, gauges and words.
    pub meters: Snapshot,
}

/// A pipeline at one moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PipelineStatus {
    /// Its name.
    pub pipeline: String,
    /// When, in nanoseconds since 1970.
    pub at_ns: u64,
    /// The same in nanoseconds since the system's start, by which `..._since_ns` of meters are told.
    #[serde(default)]
    pub uptime_ns: u64,
    /// Its actors, in flow order.
    pub actors: Vec<ActorStatus>,
    /// Its edges.
    pub edges: Vec<EdgeStatus>,
    /// Lines of the process's log that were dropped because nobody read them; whoever runs the pipeline counts them.
    #[serde(default)]
    pub log_lines_dropped: u64,
}

impl PipelineStatus {
    /// The counters and words of now, with the rates and pressures of this sample: those need time between two looks.
    pub fn renewed(&self, view: &View) -> Self {
        let mut now = Sample::default().take(view);
        for (actor, sampled) in now.actors.iter_mut().zip(&self.actors) {
            actor.frames_per_second = sampled.frames_per_second;
            actor.bytes_per_second = sampled.bytes_per_second;
            actor.bytes_in_per_second = sampled.bytes_in_per_second;
            actor.frames_in_per_second = sampled.frames_in_per_second;
        }
        for (edge, sampled) in now.edges.iter_mut().zip(&self.edges) {
            edge.pressure = sampled.pressure;
        }
        now
    }
}

/// Two moments of a pipeline, from which rates are made.
#[derive(Debug, Default)]
pub struct Sample {
    before: Option<PipelineStatus>,
}

impl Sample {
    /// The pipeline now, with rates since the last call; 0 at the first.
    pub fn take(&mut self, view: &View) -> PipelineStatus {
        let uptime_ns = uptime_ns();
        let seconds = self
            .before
            .as_ref()
            .map_or(0.0, |before| uptime_ns.saturating_sub(before.uptime_ns) as f64 / 1e9);
        let actors = view
            .actors
            .iter()
            .enumerate()
            .map(|(index, (name, role, plugin, meters))| {
                let meters = meters.snapshot();
                let before = self.before.as_ref().and_then(|before| before.actors.get(index));
                let rate = |key: &str| before.map_or(0.0, |before| per_second(&before.meters, &meters, key, seconds));
                ActorStatus {
                    name: name.clone(),
                    role: role.to_string(),
                    plugin: plugin.clone(),
                    frames_per_second: rate("frames_out"),
                    bytes_per_second: rate("bytes_out"),
                    bytes_in_per_second: rate("bytes_in"),
                    frames_in_per_second: rate("frames_in"),
                    meters,
                }
            });
        let actors: Vec<_> = actors.collect();
        let edges = view.edges.iter().enumerate().map(|(index, (edge, meters))| {
            let since = meters.waiting_since_ns.get();
            let waiting_ns = if since == 0 { 0 } else { uptime_ns.saturating_sub(since) };
            let waited_ns = meters.waited_ns.get();
            let before = self.before.as_ref().and_then(|before| before.edges.get(index));
            let waited = waited_ns + waiting_ns
                - before.map_or(waited_ns + waiting_ns, |before| before.waited_ns.min(waited_ns));
            let spilling = actors
                .iter()
                .any(|actor| actor.name == edge.to && actor.meters.numbers.get("spilling") == Some(&1));
            EdgeStatus {
                edge: edge.to_string(),
                from: edge.from.clone(),
                to: edge.to.clone(),
                frames: meters.frames.get(),
                bytes: meters.bytes.get(),
                waited_ns,
                waiting_ns,
                pressure: pressure(waiting_ns, waited as f64 / 1e9, seconds, spilling),
            }
        });
        let status = PipelineStatus {
            pipeline: view.name.to_string(),
            at_ns: now_ns(),
            uptime_ns,
            edges: edges.collect(),
            actors,
            log_lines_dropped: 0,
        };
        self.before = Some(status.clone());
        status
    }
}

/// The state of an edge: how long the current wait lasts, the seconds waited within the `seconds` since the last look, and whether the
/// downstream actor is a store that writes to disk.
pub fn pressure(waiting_ns: u64, waited_seconds: f64, seconds: f64, spilling: bool) -> Pressure {
    if waiting_ns >= 1_000_000_000 {
        Pressure::Blocked
    } else if spilling {
        Pressure::Spilling
    } else if seconds > 0.0 && waited_seconds > seconds / 2.0 {
        Pressure::Saturated
    } else {
        Pressure::Flowing
    }
}

fn per_second(before: &Snapshot, now: &Snapshot, key: &str, seconds: f64) -> f64 {
    let value = |snapshot: &Snapshot| snapshot.numbers.get(key).copied().unwrap_or(0);
    if seconds <= 0.0 {
        return 0.0;
    }
    value(now).saturating_sub(value(before)) as f64 / seconds
}
