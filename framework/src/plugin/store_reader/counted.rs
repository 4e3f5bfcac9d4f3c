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
    batches: VecDeque<Unfinished>,
}

#[derive(Debug)]
struct Unfinished {
    /// The positions that are not settled.
    positions: Range<u64>,
    /// Of frames that were not rejected.
    bytes: u64,
    /// Where frames stand that were rejected; ascending.
    rejected: VecDeque<u64>,
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
        self.batches.push_back(Unfinished {
            positions: end - frames..end,
            bytes,
            rejected: VecDeque::new(),
        });
    }

    /// A frame of the batch read last is given to nobody.
    pub(super) fn reject(&mut self, position: u64, bytes: u64) {
        if let Some(last) = self.batches.back_mut() {
            last.rejected.push_back(position);
            last.bytes = last.bytes.saturating_sub(bytes);
        }
    }

    /// A batch's bytes count when all of it is settled, its frames one by one.
    pub(super) fn settle(&mut self, position: u64) {
        while let Some(batch) = self.batches.front_mut() {
            let settled = position.clamp(batch.positions.start, batch.positions.end);
            let mut delivered = settled - batch.positions.start;
            while batch.rejected.pop_front_if(|rejected| *rejected < settled).is_some() {
                delivered = delivered.saturating_sub(1);
                // A cursor has nobody who takes its dead letters.
                self.meters.lost.add(1);
            }
            self.meters.frames_out.add(delivered);
            batch.positions.start = settled;
            if settled < batch.positions.end {
                return;
            }
            self.meters.bytes_out.add(batch.bytes);
            self.batches.pop_front();
        }
    }
}
