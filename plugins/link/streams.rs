//! Which streams a receiver keeps: `max_streams` of them.

use std::collections::BTreeMap;

use aqueduct_framework::batch::StreamId;
use aqueduct_framework::spill::Mark;

/// Whether a stream may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Welcome,
    /// It may, once this one is forgotten: of all that are not connected the one that was silent for longest.
    Instead(StreamId),
    /// All streams that the store keeps are connected.
    Full,
}

/// Whether `stream` may come, where the store knows `known` and those for which `connected` is true are there.
pub fn admit(
    stream: StreamId,
    known: &BTreeMap<StreamId, Mark>,
    most: usize,
    connected: impl Fn(StreamId) -> bool,
) -> Admission {
    if known.contains_key(&stream) || known.len() < most {
        return Admission::Welcome;
    }
    let silent = known.iter().filter(|(stream, _)| !connected(**stream));
    match silent.min_by_key(|(_, mark)| mark.seen_s) {
        Some((stream, _)) => Admission::Instead(*stream),
        None => Admission::Full,
    }
}
