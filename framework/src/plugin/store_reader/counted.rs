//! Counts in the sink's meters what a cursor reads, and what it delivers.

use std::collections::VecDeque;
use std::ops::Range;

use super::Link;
use crate::batch::Batch;
use crate::plugin::frame_bytes;
use crate::telemetry::Meters;

/// What was read and not settled. As much of it as the sink keeps undelivered.
#[derive(Debug)]
pub(super) struct Unsettled {
    meters: Meters,
    /// The positions of each batch that was read and are not settled, and its bytes.
    batches: VecDeque<(Range<u64>, u64)>,
}

impl Unsettled {
    pub(super) fn new(link: &Link) -> Self {
        Self {
            meters: link.meters.clone(),
            batches: VecDeque::new(),
        }
    }

    pub(super) fn read(&mut self, batch: &Batch, end: u64) {
        let (frames, bytes) = (batch.len() as u64, frame_bytes(batch));
        self.meters.frames_in.add(frames);
        self.meters.bytes_in.add(bytes);
        self.batches.push_back((end - frames..end, bytes));
    }

    /// A batch's bytes count when all of it is settled, its frames one by one.
    pub(super) fn settle(&mut self, position: u64) {
        while let Some((unsettled, bytes)) = self.batches.front_mut() {
            let settled = position.clamp(unsettled.start, unsettled.end);
            self.meters.frames_out.add(settled - unsettled.start);
            unsettled.start = settled;
            if settled < unsettled.end {
                return;
            }
            self.meters.bytes_out.add(*bytes);
            self.batches.pop_front();
        }
    }
}
