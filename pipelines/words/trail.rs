//! Where a message is, in words: what `trace` prints.

use std::time::{Duration, UNIX_EPOCH};

use super::time;
use crate::framework::find::{State, Wanted};
use crate::framework::pipeline::{Spot, Trail};

/// Where a message is, as `aqueduct trace` prints it.
pub(crate) fn trail(trail: &Trail) -> String {
    let mut text = format!("pipeline {}\n", trail.pipeline);
    let mut told: Vec<String> = Vec::new();
    for spot in &trail.found {
        let who = message(spot);
        // A message that is in several places is named once.
        if !told.contains(&who) {
            text += &format!("  {who}\n");
            for same in trail.found.iter().filter(|other| message(other) == who) {
                text += &format!("  {}\n", place(same, trail.at_ns));
            }
            told.push(who);
        }
    }
    if trail.found.is_empty() {
        text += &format!("  {}\n", not_found(trail));
    }
    for note in &trail.notes {
        text += &format!("  note: {note}\n");
    }
    text
}

fn message(spot: &Spot) -> String {
    let found = &spot.found;
    let id = found.id.as_ref().map_or_else(String::new, |id| format!(", id {id}"));
    let trace = match (&found.message_trace_id, &found.trace_id) {
        (Some(own), Some(batch)) if own != batch => format!(", trace {own}, its batch's trace {batch}"),
        (Some(trace), _) | (None, Some(trace)) => format!(", trace {trace}"),
        (None, None) => ", not traced".to_owned(),
    };
    let run = rfc3339(found.epoch);
    format!("{}:{}{id}{trace}, counted since {run}", found.source, found.seq)
}

fn rfc3339(ns: u64) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_nanos(ns)).to_string()
}

fn place(spot: &Spot, now_ns: u64) -> String {
    let since = |ns: Option<u64>| ns.map(|ns| time(now_ns.saturating_sub(ns) as f64 / 1e9));
    let mut line = format!("{}: {}", spot.actor, state(&spot.found.state));
    if let Some(since) = since(spot.found.since_ns) {
        line += &format!(", for {since}");
    }
    if let Some(since) = since(spot.found.received_ns) {
        line += &format!("; received {since} ago");
    }
    if let Some(remark) = &spot.found.remark {
        line += &format!("; {} is {remark}", spot.actor);
    }
    line
}

fn state(state: &State) -> String {
    let copies = |memory, disk| match (memory, disk) {
        (true, true) => "in memory and on disk",
        (false, _) => "on disk",
        (true, false) => "in memory",
    };
    let ahead = |frames: u64| match frames {
        0 => "nothing before it".to_owned(),
        1 => "1 frame before it".to_owned(),
        more => format!("{more} frames before it"),
    };
    match state {
        State::Unsent => "is read, and waits for its batch to be sent".to_owned(),
        State::Queued { frames_ahead } => format!("waits in the inbox, {}", ahead(*frames_ahead)),
        State::WaitingForDemand => "waits until those downstream take more".to_owned(),
        State::InHand => "is being processed".to_owned(),
        State::WaitingForOrder => "is processed, and waits for those before it".to_owned(),
        State::Sending { attempts: 0, .. } => "is being sent".to_owned(),
        State::Sending { attempts, error } => {
            let error = error.as_deref().unwrap_or("no reason given");
            format!("is to be sent again after {attempts} failed attempts, the last error: {error}")
        }
        State::Stored {
            memory,
            disk,
            frames_ahead,
        } => format!("waits {}, {}", copies(*memory, *disk), ahead(*frames_ahead)),
        State::HandedDown { memory, disk } => {
            format!(
                "is handed down, and kept {} until it is settled",
                copies(*memory, *disk)
            )
        }
    }
}

/// That a message is not there, and what is known of its source. Without the answers of all nothing can be said.
fn not_found(trail: &Trail) -> String {
    let wanted = &trail.wanted;
    if trail.incomplete {
        return format!("{wanted} was not found, but not everything was looked at");
    }
    let sources = trail.sources.iter();
    let counted = |source: &str, next: u64| match next {
        0 => format!("{source} has read nothing yet"),
        next => format!("{source}'s last number is {}", next - 1),
    };
    let known: Vec<_> = sources.map(|one| counted(&one.source, one.next_seq)).collect();
    let known = known.join(", ");
    match wanted {
        Wanted::Number { source, seq } => match trail.sources.iter().find(|one| one.source == *source) {
            Some(one) if *seq >= one.next_seq => {
                format!("{wanted} has not come yet: {}", counted(source, one.next_seq))
            }
            Some(one) => {
                let counted = counted(source, one.next_seq);
                format!("{wanted} is not in the pipeline: it was settled or filtered ({counted})")
            }
            None => format!("{wanted} is not in the pipeline, and it has no running source `{source}` ({known})"),
        },
        Wanted::Id(_) => format!("{wanted} is not in the pipeline: it was settled, filtered, or never came ({known})"),
    }
}
