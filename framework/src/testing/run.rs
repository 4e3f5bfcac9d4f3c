//! What a processor made of the frames of a test.

use std::collections::BTreeMap;

use super::frames::Seen;
use crate::batch::Batch;
use crate::plugin::Emitted;
use crate::receipt::{Fate, Settled};
use crate::telemetry::Snapshot;

/// A frame that was rejected, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The frame, as text; bytes that are no UTF-8 become U+FFFD.
    pub frame: String,
    /// The reason.
    pub reason: String,
}

/// What a processor made of the frames it was given.
#[derive(Debug, Clone)]
pub struct Run {
    outputs: Vec<(&'static str, Vec<Seen>)>,
    meters: Snapshot,
    fates: Vec<(u64, Fate)>,
}

impl Run {
    pub(super) fn new(names: &[&'static str]) -> Self {
        Self {
            outputs: names.iter().map(|name| (*name, Vec::new())).collect(),
            meters: Snapshot::default(),
            fates: Vec::new(),
        }
    }

    pub(super) fn take_all(&mut self, emitted: Emitted) {
        for (output, batch) in emitted {
            self.take(output, batch);
        }
    }

    pub(super) fn take(&mut self, output: usize, batch: Batch) {
        self.outputs[output].1.extend(Seen::all(&batch));
        let rejected = output + 1 == self.outputs.len();
        let fate = if rejected { Fate::Rejected } else { Fate::Delivered };
        batch.receipt.settle(fate);
    }

    pub(super) fn finish(&mut self, meters: Snapshot, settled: &[Settled]) {
        self.meters = meters;
        self.fates = settled.iter().map(|settled| (settled.token, settled.fate)).collect();
    }

    /// The frames that left by an output, as text, in order; `""` is the main one. Bytes that are no UTF-8 become U+FFFD.
    ///
    /// # Panics
    /// When the plugin has no such output.
    #[track_caller]
    pub fn output(&self, name: &str) -> Vec<String> {
        self.emitted(name).iter().map(Seen::text).collect()
    }

    /// The frames that left by an output, in order.
    ///
    /// # Panics
    /// When the plugin has no such output.
    #[track_caller]
    pub fn output_bytes(&self, name: &str) -> Vec<&[u8]> {
        self.emitted(name)
            .iter()
            .map(|emitted| emitted.bytes.as_slice())
            .collect()
    }

    /// The numbers of the frames that left by an output, in order.
    ///
    /// # Panics
    /// When the plugin has no such output.
    #[track_caller]
    pub fn numbers(&self, name: &str) -> Vec<u64> {
        self.emitted(name).iter().map(|emitted| emitted.number).collect()
    }

    /// The attributes of the frame at `index`, from 0, of what left by an output; those of its batch among them.
    ///
    /// # Panics
    /// When the plugin has no such output, or fewer frames left by it.
    #[track_caller]
    pub fn attributes(&self, name: &str, index: usize) -> &BTreeMap<String, String> {
        let emitted = self.emitted(name);
        match emitted.get(index) {
            Some(emitted) => &emitted.attributes,
            None => panic!("only {} frames left by the output {name:?}", emitted.len()),
        }
    }

    /// The frames that were rejected, in order.
    pub fn rejected(&self) -> Vec<DeadLetter> {
        let rejected = self.outputs.last().map_or(&[][..], |(_, emitted)| emitted);
        let letters = rejected.iter().map(|emitted| DeadLetter {
            frame: String::from_utf8_lossy(&emitted.bytes).into_owned(),
            reason: (emitted.attributes.get(crate::plugin::rejection::REASON).cloned()).unwrap_or_default(),
        });
        letters.collect()
    }

    /// What the plugin counted and said until it went.
    pub fn meters(&self) -> &Snapshot {
        &self.meters
    }

    /// The value of one of its counters or gauges; 0 when it has none of that name.
    pub fn count(&self, meter: &str) -> u64 {
        self.meters.numbers.get(meter).copied().unwrap_or_default()
    }

    /// The batches that went in (from 0) and how they ended, in the order they were settled. Every batch should be here exactly once.
    pub fn fates(&self) -> &[(u64, Fate)] {
        &self.fates
    }

    #[track_caller]
    fn emitted(&self, name: &str) -> &[Seen] {
        match self.outputs.iter().find(|(known, _)| *known == name) {
            Some((_, emitted)) => emitted,
            None => {
                let known: Vec<_> = self.outputs.iter().map(|(known, _)| *known).collect();
                panic!("the plugin has no output {name:?}; it has {known:?}")
            }
        }
    }
}
