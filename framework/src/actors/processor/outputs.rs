//! A processor's outputs: main, declared ones, `rejected`.

use std::cell::Cell;
use std::rc::Rc;

use actix::prelude::*;

use super::ProcessorParts;
use crate::batch::Batch;
use crate::mailbox::{Granted, Outlet};
use crate::plugin::rejection::{REASON, TRACE_ID};
use crate::plugin::{Emitted, REJECTED, frame_bytes};
use crate::receipt::Fate;
use crate::telemetry::{Counter, Meters};

/// The outlets of a processor, in the order of its output names.
pub(super) struct Outputs {
    outlets: Vec<Rc<Outlet>>,
    meters: Meters,
    actor: std::sync::Arc<str>,
    filtered: Counter,
    said: Cell<u64>,
}

impl Outputs {
    pub(super) fn new(parts: &ProcessorParts) -> Self {
        let names = std::iter::once("").chain(parts.plugin.about.outputs.iter().copied());
        let outlets = names.chain(std::iter::once(REJECTED)).map(|name| {
            let edges = parts.outputs.iter().find(|(output, _)| output == name);
            Outlet::new(edges.map_or_else(Vec::new, |(_, edges)| edges.clone()))
        });
        Self {
            outlets: outlets.collect(),
            meters: parts.context.meters.clone(),
            actor: parts.context.actor.clone(),
            filtered: parts.context.counter("filtered"),
            said: Cell::new(0),
        }
    }

    pub(super) fn join(&self, grants_to: &Recipient<Granted>) {
        self.outlets.iter().for_each(|outlet| outlet.join(grants_to));
    }

    pub(super) fn grant(&self, granted: Granted) {
        self.outlets.iter().for_each(|outlet| outlet.grant(granted));
    }

    pub(super) fn finish(&self) {
        self.outlets.iter().for_each(|outlet| outlet.finish());
    }

    /// True while every connected output has demand.
    pub(super) fn may_send(&self) -> bool {
        self.outlets.iter().all(|outlet| outlet.may_send())
    }

    /// Waits until every connected output has demand: which one a frame takes is known only afterwards.
    pub(super) async fn permit(&self) {
        for outlet in &self.outlets {
            outlet.permit().await;
        }
    }

    /// Notes a batch that came in.
    pub(super) fn count_in(&self, batch: &Batch) {
        self.meters.frames_in.add(batch.len() as u64);
        self.meters.bytes_in.add(frame_bytes(batch));
    }

    /// Notes a batch of a broken epoch, given back for redelivery.
    pub(super) fn count_stale(&self, batch: &Batch) {
        self.meters.dropped.add(batch.len() as u64);
    }

    /// Sends what `frames_in` frames became: those of one batch that are not held back.
    pub(super) fn send(&self, emitted: Emitted, frames_in: usize) {
        let mut frames = 0;
        for (output, batch) in emitted {
            if output + 1 == self.outlets.len() {
                frames += batch.len();
                self.reject(batch);
            } else if !self.outlets[output].is_connected() {
                // The flow has no use for this output: its frames are filtered out.
                batch.receipt.settle(Fate::Delivered);
            } else {
                frames += batch.len();
                self.meters.frames_out.add(batch.len() as u64);
                self.meters.bytes_out.add(frame_bytes(&batch));
                self.outlets[output].send(batch);
            }
        }
        self.filtered.add(frames_in.saturating_sub(frames) as u64);
    }

    fn reject(&self, batch: Batch) {
        self.meters.rejected.add(batch.len() as u64);
        let outlet = &self.outlets[self.outlets.len() - 1];
        let total = self.meters.rejected.get();
        // Said at the first and then whenever the number doubled: a bad feed must not flood the log.
        if total >= self.said.get() {
            self.said.set(total * 2);
            let reason = batch.attributes.get(0, REASON).unwrap_or("no reason given");
            let kept = if outlet.is_connected() {
                "sent to its `rejected` output"
            } else {
                "lost; connect its `rejected` output to keep them"
            };
            tracing::warn!(actor = %self.actor, total, source = %batch.numbers.source, seq = batch.numbers.get(0), trace_id = batch.attributes.get(0, TRACE_ID), "frames were rejected and {kept}; the last one: {reason}");
        }
        if outlet.is_connected() {
            outlet.send(batch);
        } else {
            self.meters.lost.add(batch.len() as u64);
            batch.receipt.settle(Fate::Rejected);
        }
    }
}
