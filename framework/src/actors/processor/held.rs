//! The batches of which a plugin holds frames back, unsettled: a pure state machine. The clock is its caller's.

use std::time::Duration;

use tokio::time::Instant;

use crate::batch::Batch;
use crate::plugin::HoldLimit;
use crate::receipt::Receipt;
use crate::telemetry::TraceContext;

/// How often what is held is looked at for a drop downstream: whoever sends it again waits for that.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A batch, and which of its frames are held.
pub(super) struct HeldBatch {
    pub(super) batch: Batch,
    pub(super) frames: Vec<u32>,
}

/// What is held, oldest first.
pub(super) struct HeldBatches {
    limit: Option<HoldLimit>,
    batches: Vec<HeldBatch>,
    bytes: usize,
    since: Option<Instant>,
}

impl HeldBatches {
    /// `most_bytes` bounds what the plugin says, so that what is held never stands in the way of its own release.
    pub(super) fn new(limit: Option<HoldLimit>, most_bytes: usize) -> Self {
        let limit = limit.map(|limit| HoldLimit {
            bytes: limit.bytes.min(most_bytes),
            ..limit
        });
        Self {
            limit,
            batches: Vec::new(),
            bytes: 0,
            since: None,
        }
    }

    pub(super) fn may_hold(&self) -> bool {
        self.limit.is_some()
    }

    pub(super) fn len(&self) -> usize {
        self.batches.len()
    }

    pub(super) fn push(&mut self, batch: Batch, frames: Vec<u32>, now: Instant) {
        self.bytes += batch.cost();
        self.since.get_or_insert(now);
        self.batches.push(HeldBatch { batch, frames });
    }

    pub(super) fn take(&mut self) -> Vec<HeldBatch> {
        self.bytes = 0;
        self.since = None;
        std::mem::take(&mut self.batches)
    }

    /// The traces of what is held, as they stand behind this actor.
    pub(super) fn traces(&self) -> impl Iterator<Item = TraceContext> {
        self.batches.iter().filter_map(|held| held.batch.trace)
    }

    /// The receipts of everything held; nothing is held any more.
    pub(super) fn take_receipts(&mut self) -> Vec<Receipt> {
        self.take().into_iter().map(|held| held.batch.receipt).collect()
    }

    /// The index in its batch of the frame held last.
    pub(super) fn last_frame(&self) -> Option<usize> {
        let last = self.batches.last()?.frames.last()?;
        Some(*last as usize)
    }

    /// The batch that stands for all that is held: the last one, under a receipt that settles all of them. Nothing is held any more.
    pub(super) fn take_joint(&mut self) -> Option<Batch> {
        let mut all = self.take();
        let mut last = all.pop()?.batch;
        let own = std::mem::replace(&mut last.receipt, Receipt::none());
        let others = all.into_iter().map(|held| held.batch.receipt);
        last.receipt = Receipt::joint(others.chain([own]));
        Some(last)
    }

    /// True when one of them was dropped downstream, or stands behind one that was: it will come again.
    pub(super) fn is_stale(&self) -> bool {
        self.batches.iter().any(|held| held.batch.receipt.is_stale())
    }

    /// True when a limit is reached.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        match (self.limit, self.since) {
            (Some(limit), Some(since)) => self.bytes >= limit.bytes || now >= since + limit.time,
            _ => false,
        }
    }

    /// When it should be looked at again, from `now`.
    pub(super) fn look_in(&self, now: Instant) -> Option<Duration> {
        let (limit, since) = (self.limit?, self.since?);
        Some((since + limit.time).saturating_duration_since(now).min(LOOK_EVERY))
    }
}
