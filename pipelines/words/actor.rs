//! One line about an actor.

use super::{bytes, count, number};
use crate::framework::failure::Failure;
use crate::framework::pipeline::ActorStatus;
use crate::terminal;

/// The cells that the names of actors take in a table: those of the longest, unless that takes more than a third of the line.
pub(crate) fn name_cells<'a>(actors: impl Iterator<Item = &'a ActorStatus>, columns: Option<usize>) -> usize {
    let longest = actors.map(|actor| terminal::width(&actor.name)).max().unwrap_or(0);
    longest.min(columns.map_or(usize::MAX, |columns| columns / 3))
}

/// One line about an actor, whose name takes so many cells: a longer one is cut.
pub(crate) fn actor(actor: &ActorStatus, name_cells: usize) -> String {
    let name = terminal::cut(&actor.name, name_cells);
    let space = " ".repeat(name_cells.saturating_sub(terminal::width(&name)));
    let mut line = format!(
        "{name}{space} {:>9}/s {:>8} frames/s  {} frames",
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

/// What else an actor has counted, as `key=value key=value`: its failures by kind, what a source made no frames of, what a processor's plugin counts.
pub(crate) fn counted(actor: &ActorStatus) -> String {
    let failures = Failure::ALL.iter().map(|failure| failure.counter());
    let unframed = ["oversized_bytes", "truncated_bytes"].into_iter();
    let mut pairs: Vec<_> = failures
        .chain(unframed)
        .map(|key| (key, number(actor, key)))
        .filter(|(_, value)| *value > 0)
        .collect();
    if actor.role == "processor" {
        pairs.extend(own_meters(actor).map(|(key, value)| (key.as_str(), *value)));
    }
    let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(" ")
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
