//! A pipeline's state in words: what `status` prints and the live lines show.

#[cfg(test)]
mod tests;
mod trail;

pub(crate) use trail::trail;

use serde_json::Value;

use crate::framework::failure::Failure;
use crate::framework::pipeline::{ActorStatus, PipelineStatus, Pressure};

/// `9.8 MB`, with decimal units as network people use them.
pub(crate) fn bytes(count: f64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (count, 0);
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{value:.0} B")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// `1.6 M`, `12.3 k`, `870`.
pub(crate) fn count(value: f64) -> String {
    match value {
        v if v >= 1e9 => format!("{:.1} G", v / 1e9),
        v if v >= 1e6 => format!("{:.1} M", v / 1e6),
        v if v >= 1e4 => format!("{:.1} k", v / 1e3),
        v => format!("{v:.0}"),
    }
}

/// `19 min`, `3 h`, `45 s`.
pub(crate) fn time(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} days", s / 86_400.0),
    }
}

/// Whether a terminal could take a character for more than a sign: controls (C0, C1) and what turns the direction of text.
fn is_unsafe(sign: char) -> bool {
    sign.is_control()
        || matches!(sign, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The same value, with every text in it as safe to print: what a socket or a file says may come from anywhere.
pub(crate) fn clean(value: &mut Value) {
    let escaped = |text: &str| -> String {
        let signs = text.chars().map(|sign| match is_unsafe(sign) {
            true => sign.escape_unicode().to_string(),
            false => sign.to_string(),
        });
        signs.collect()
    };
    match value {
        Value::String(text) if text.contains(is_unsafe) => *text = escaped(text),
        Value::Array(values) => values.iter_mut().for_each(clean),
        Value::Object(entries) => {
            let dirty = std::mem::take(entries);
            entries.extend(dirty.into_iter().map(|(key, mut value)| {
                clean(&mut value);
                (escaped(&key), value)
            }));
        }
        _ => {}
    }
}

/// JSON as safe to print: the same value, with such characters as JSON's own escapes.
pub(crate) fn json(value: &Value) -> String {
    let signs = value.to_string();
    let signs = signs.chars().map(|sign| match is_unsafe(sign) {
        // All of them are of the basic plane, and stand inside of texts.
        true => format!("\\u{:04x}", u32::from(sign)),
        false => sign.to_string(),
    });
    signs.collect()
}

/// A line of at most so many characters; one that is longer ends with an ellipsis.
pub(crate) fn cut(line: &str, columns: usize) -> String {
    match line.char_indices().nth(columns) {
        None => line.to_owned(),
        Some(_) => line.chars().take(columns.saturating_sub(1)).chain(['…']).collect(),
    }
}

fn number(actor: &ActorStatus, key: &str) -> u64 {
    actor.meters.numbers.get(key).copied().unwrap_or(0)
}

/// One line about an actor.
pub(crate) fn actor(actor: &ActorStatus) -> String {
    let mut line = format!(
        "{:<16} {:>9}/s {:>8} frames/s  {} frames",
        actor.name,
        bytes(actor.bytes_per_second),
        count(actor.frames_per_second),
        count(number(actor, "frames_out") as f64),
    );
    if actor.role == "spill store" {
        let kept = if number(actor, "retaining") > 0 {
            "kept"
        } else {
            "waiting"
        };
        let (memory, disk) = (number(actor, "memory_bytes") as f64, number(actor, "disk_bytes") as f64);
        line += &match number(actor, "waiting_frames") {
            0 if disk > 0.0 => format!(
                ", 0 {kept} (its files take {} on disk, all of it delivered)",
                bytes(disk)
            ),
            0 => format!(", 0 {kept}"),
            waiting => format!(
                ", {} {kept} ({} in memory, {} on disk)",
                count(waiting as f64),
                bytes(memory),
                bytes(disk)
            ),
        };
    }
    if actor.role == "source" {
        line += &without_frames(actor);
        for (key, what) in [
            ("unanswered_frames", "wait for their reply"),
            ("replies_withheld", "ended without a reply"),
        ] {
            if number(actor, key) > 0 {
                line += &format!(", {} {what}", count(number(actor, key) as f64));
            }
        }
    }
    // What an actor gave up undelivered may still wait in a store: only what is lost is lost.
    for (key, word) in [("rejected", "rejected"), ("dropped", "given back"), ("lost", "lost")] {
        if number(actor, key) > 0 {
            line += &format!(", {} {word}", count(number(actor, key) as f64));
        }
    }
    if number(actor, "frames_unconfirmed") > 0 {
        let (frames, size) = (number(actor, "frames_unconfirmed"), number(actor, "bytes_unconfirmed"));
        line += &format!(
            ", up to {} unconfirmed ({}) that a broken connection may have cost",
            count(frames as f64),
            bytes(size as f64)
        );
    }
    if number(actor, "deleted_frames") > 0 {
        let frames = count(number(actor, "deleted_frames") as f64);
        line += &format!(", its files were deleted: {frames} that wait are lost with them unless memory has them too");
    }
    if number(actor, "ends_lost") > 0 {
        line += ", an unknown number lost with its damaged end";
    }
    if number(actor, "quarantine_unusable") > 0 {
        line += ", its quarantine cannot be used: damaged segments stay beside it as NAME.redb.damaged";
    }
    if actor.role == "processor" {
        for (key, value) in own_meters(actor) {
            line += &format!(", {} {key}", count(*value as f64));
        }
    }
    let failures: Vec<String> = (Failure::ALL.iter())
        .map(|failure| (failure, number(actor, failure.counter())))
        .filter(|(_, times)| *times > 0)
        .map(|(failure, times)| format!("{} {failure}", count(times as f64)))
        .collect();
    if !failures.is_empty() {
        line += &format!(", failures: {}", failures.join(", "));
    }
    let texts = &actor.meters.texts;
    // That a store is empty is said already.
    match (
        texts.get("state").filter(|state| *state != "empty"),
        texts.get("listening"),
    ) {
        (Some(state), _) => line += &format!(", {state}"),
        (None, Some(address)) => line += &format!(", listening on {address}"),
        (None, None) => {}
    }
    if let Some(trouble) = texts.get("trouble").filter(|trouble| !trouble.is_empty()) {
        line += &format!(", {trouble}");
    }
    line
}

/// What a source read and made no frames of.
fn without_frames(source: &ActorStatus) -> String {
    let sizes = [
        ("oversized_bytes", "of frames that were too long"),
        ("truncated_bytes", "of frames that were cut off"),
    ];
    let mut words: Vec<_> = (sizes.iter())
        .filter(|(key, _)| number(source, key) > 0)
        .map(|(key, what)| format!("{} {what}", bytes(number(source, key) as f64)))
        .collect();
    let came = number(source, "read_bytes");
    if came > 0 && number(source, "frames_out") == 0 {
        words.insert(0, format!("{} came and made no frame", bytes(came as f64)));
    }
    words.iter().map(|word| format!(", {word}")).collect()
}

/// What the plugin counts itself, and how often it panicked: for processors a few words, for sources and sinks too many for a line.
fn own_meters(actor: &ActorStatus) -> impl Iterator<Item = (&String, &u64)> {
    const OF_ALL: [&str; 8] = [
        "frames_in",
        "bytes_in",
        "frames_out",
        "bytes_out",
        "rejected",
        "dropped",
        "lost",
        "retries",
    ];
    let counted = actor.meters.numbers.iter();
    counted.filter(|(key, value)| **value > 0 && !OF_ALL.contains(&key.as_str()) && !key.ends_with("busy_since_ns"))
}

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

fn spilling(edge: &str, store: &ActorStatus) -> String {
    let (offered, taken) = (store.bytes_in_per_second, store.bytes_per_second);
    let growth = offered - taken;
    // Counted in frames: what waits takes other room in memory and on disk than its frames have bytes.
    let leaving = store.frames_per_second - store.frames_in_per_second;
    let future = if growth > 1.0 {
        filling(store, growth)
    } else if leaving > 0.0 {
        format!("empty in {}", time(number(store, "waiting_frames") as f64 / leaving))
    } else {
        format!("steady at {} frames", count(number(store, "waiting_frames") as f64))
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

/// The whole status, as `aqueduct status` prints it.
pub(crate) fn status(status: &PipelineStatus) -> String {
    let mut text = format!("pipeline {}\n", status.pipeline);
    for each in &status.actors {
        text += &format!("  {}\n", actor(each));
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
