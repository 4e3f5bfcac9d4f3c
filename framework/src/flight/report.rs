//! A verdict with time, place and history.

use serde::{Deserialize, Serialize};

use super::endpoint::traffic;
use super::{Cause, Event, Heard, Recorder, Slot, Sureness, Verdict};

/// The newest slots that a report keeps.
const SLOTS_KEPT: usize = 20;

/// Why a connection ended, as it stands in the journal: one JSON object a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When, in nanoseconds since 1970.
    pub at_ns: u64,
    /// The pipeline.
    pub pipeline: String,
    /// The actor whose connection it was.
    pub actor: String,
    /// The peer's address.
    pub peer: String,
    /// Why.
    pub cause: Cause,
    /// How sure that is.
    pub sureness: Sureness,
    /// It all in one sentence.
    pub sentence: String,
    /// What speaks for it.
    pub evidence: Vec<String>,
    /// What to do.
    pub advice: String,
    /// Reports of this cause since there was peace for a minute, this one included. Past the sixteenth only every doubling is kept.
    pub count: u64,
    /// What happened; none for an attempt that failed or a peer that came back.
    pub event: Option<Event>,
    /// The newest slots in which something happened, oldest first; each of [`super::SLOT_MS`] milliseconds.
    pub slots: Vec<Slot>,
    /// The actors that took nothing: the first is the one that a slot names as 1.
    #[serde(default)]
    pub blamed: Vec<String>,
}

impl Report {
    /// A report without history.
    pub fn new(at_ns: u64, pipeline: &str, actor: &str, peer: &str, verdict: Verdict) -> Self {
        Self {
            at_ns,
            pipeline: pipeline.to_owned(),
            actor: actor.to_owned(),
            peer: peer.to_owned(),
            cause: verdict.cause,
            sureness: verdict.sureness,
            sentence: verdict.sentence,
            evidence: verdict.evidence,
            advice: verdict.advice.unwrap_or_else(|| verdict.cause.advice().to_owned()),
            count: 1,
            event: None,
            slots: Vec::new(),
            blamed: Vec::new(),
        }
    }

    /// Adds how often the like was heard.
    #[must_use]
    pub fn heard(mut self, heard: Heard) -> Self {
        self.count = heard.count;
        self
    }

    /// Adds what happened, and the last slots of a connection that is this old.
    #[must_use]
    pub fn of(mut self, event: Event, recorder: &Recorder, age_ms: u64) -> Self {
        self.event = Some(event);
        self.evidence.push(traffic(recorder.bytes, age_ms));
        let newest = recorder.ring().last_minute(age_ms).rev().take(SLOTS_KEPT);
        self.slots = newest.copied().collect();
        self.slots.reverse();
        self.blamed = recorder.blames().iter().map(|blame| blame.actor.clone()).collect();
        self
    }
}
