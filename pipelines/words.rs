//! A pipeline's state in words: what `status` prints and the live lines show.

mod actor;
mod pressure;
mod safe;
#[cfg(test)]
mod tests;
mod trail;
mod units;

pub(crate) use actor::{actor, counted, name_cells};
pub(crate) use pressure::{pressure, waited_for};
pub(crate) use safe::{clean, json};
pub(crate) use trail::trail;
pub(crate) use units::{bytes, count, time};

use crate::framework::pipeline::{ActorStatus, PipelineStatus};

/// A clock that is kept right by small steps is not told.
const STEP_SECONDS: f64 = 10.0;

/// That the system's clock was set between two looks at a pipeline; none when it was not.
pub(crate) fn clock_step(before: &PipelineStatus, now: &PipelineStatus) -> Option<String> {
    let between = |from: u64, to: u64| (to as f64 - from as f64) / 1e9;
    let step = between(before.at_ns, now.at_ns) - between(before.uptime_ns, now.uptime_ns);
    let way = if step > 0.0 { "forward" } else { "back" };
    (step.abs() >= STEP_SECONDS).then(|| {
        format!(
            "the system's clock was set {way} by {}: frames carry the new time from now on, and nothing is deleted or delayed because of it",
            time(step.abs())
        )
    })
}

fn number(actor: &ActorStatus, key: &str) -> u64 {
    actor.meters.numbers.get(key).copied().unwrap_or(0)
}

/// Lines about the clients of one sink, or about the cursors of one store, before the rest is only counted.
const SHOWN: usize = 20;

/// What an actor says of each of several: texts whose names begin with `of`.
fn each<'a>(actor: &'a ActorStatus, of: &'a str) -> impl Iterator<Item = (&'a str, &'a String)> {
    let texts = actor.meters.texts.iter();
    texts.filter_map(move |(key, text)| Some((key.strip_prefix(of)?.strip_prefix(' ')?, text)))
}

/// The clients of a sink, each in a sentence.
fn clients(sink: &ActorStatus) -> Vec<String> {
    let sentences = each(sink, "client").map(|(name, text)| format!("{}: client {name} is {text}", sink.name));
    shown(sentences.collect(), &sink.name, "clients")
}

/// Where the readers of a store are, each in a sentence, unless the sink says more of it.
fn cursors(store: &ActorStatus, status: &PipelineStatus) -> Vec<String> {
    let told = |name: &str| {
        let mut all = status.actors.iter().flat_map(|actor| each(actor, "client"));
        all.any(|(client, _)| client == name)
    };
    let untold = each(store, "cursor").filter(|(name, _)| !told(name));
    let sentences = untold.map(|(name, text)| format!("{}: cursor {name} is {text}", store.name));
    shown(sentences.collect(), &store.name, "cursors")
}

fn shown(mut sentences: Vec<String>, actor: &str, what: &str) -> Vec<String> {
    if sentences.len() > SHOWN {
        let more = sentences.split_off(SHOWN).len();
        sentences.push(format!("{actor}: and {more} {what} more, see `status --json`"));
    }
    sentences
}

/// The whole status, as `aqueduct status` prints it where a line has so many columns.
pub(crate) fn status(status: &PipelineStatus, columns: Option<usize>) -> String {
    let mut text = format!("pipeline {}\n", status.pipeline);
    let names = name_cells(status.actors.iter(), columns);
    for each in &status.actors {
        text += &format!("  {}\n", actor(each, names));
    }
    for each in &status.actors {
        for sentence in cursors(each, status).into_iter().chain(clients(each)) {
            text += &format!("  {sentence}\n");
        }
    }
    for sentence in pressure(status) {
        text += &format!("  {sentence}\n");
    }
    if status.log_lines_dropped > 0 {
        let lines = status.log_lines_dropped;
        text += &format!("  {lines} lines of log were dropped: nobody reads the standard error of this process\n");
    }
    text
}
