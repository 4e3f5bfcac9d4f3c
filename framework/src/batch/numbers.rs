//! Frame numbers: (source id, start epoch, counter). With them the pipeline proves order and loss anywhere.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smallvec::{SmallVec, smallvec};

/// Consecutive frame numbers `first .. first + count`. The last of them may be the highest `u64`, so the end of the range may not fit one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, bincode::Encode, bincode::Decode)]
pub struct Run {
    /// The first counter of the run.
    pub first: u64,
    /// How many frames it covers.
    pub count: u32,
}

/// The numbers of a batch's frames, in order. A filtered batch keeps its gaps: it has more than one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbers {
    /// The actor that read the frames.
    pub source: Arc<str>,
    /// When that source started counting, in nanoseconds since 1970: a restarted source counts from 0 under a later epoch, also when the
    /// clock was set back, if a store stands behind it.
    pub epoch: u64,
    runs: SmallVec<[Run; 1]>,
}

impl Numbers {
    /// `count` frames from `first` on.
    pub fn new(source: Arc<str>, epoch: u64, first: u64, count: u32) -> Self {
        let runs = if count == 0 {
            SmallVec::new()
        } else {
            smallvec![Run { first, count }]
        };
        Self { source, epoch, runs }
    }

    /// No frames yet, of the same source and epoch as `self`.
    #[must_use]
    pub fn empty(&self) -> Self {
        Self {
            source: self.source.clone(),
            epoch: self.epoch,
            runs: SmallVec::new(),
        }
    }

    /// Rebuilds numbers from their parts, as read back from a spill record.
    pub fn from_runs(source: Arc<str>, epoch: u64, runs: &[Run]) -> Self {
        Self {
            source,
            epoch,
            runs: runs.iter().filter(|run| run.count > 0).copied().collect(),
        }
    }

    /// The runs, in frame order.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Appends one frame's number, extending the last run when it follows it.
    pub fn push(&mut self, number: u64) {
        self.push_run(Run {
            first: number,
            count: 1,
        });
    }

    /// Appends a run of numbers, joining it with the last one when it follows it.
    pub fn push_run(&mut self, run: Run) {
        if run.count == 0 {
            return;
        }
        if let Some(last) = self.runs.last_mut()
            && last.first.checked_add(last.count.into()) == Some(run.first)
            && let Some(count) = last.count.checked_add(run.count)
        {
            last.count = count;
        } else {
            self.runs.push(run);
        }
    }

    /// How many frames are numbered.
    pub fn len(&self) -> usize {
        self.runs.iter().map(|run| run.count as usize).sum()
    }

    /// The memory they take beside their own size, in bytes: none as long as they follow each other.
    pub fn bytes(&self) -> usize {
        let runs = if self.runs.spilled() { self.runs.capacity() } else { 0 };
        runs * size_of::<Run>()
    }

    /// True when no frame is numbered.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The number of the frame at `index`, from 0.
    pub fn get(&self, index: usize) -> Option<u64> {
        let mut left = index as u64;
        for run in &self.runs {
            if left < u64::from(run.count) {
                return Some(run.first + left);
            }
            left -= u64::from(run.count);
        }
        None
    }

    /// A place in the numbers that remembers where it was, for reading them in ascending order.
    pub fn cursor(&self) -> NumbersCursor<'_> {
        NumbersCursor {
            runs: &self.runs,
            run: 0,
            start: 0,
        }
    }

    /// The least number from the frame at `index` on; none behind the last.
    pub fn least_from(&self, index: usize) -> Option<u64> {
        let mut behind = 0;
        let mut least = None::<u64>;
        for run in &self.runs {
            let (start, count) = (behind, run.count as usize);
            behind += count;
            if behind > index {
                let first = run.first + index.saturating_sub(start) as u64;
                least = Some(least.map_or(first, |least| least.min(first)));
            }
        }
        least
    }

    /// How many frames stand before the first whose number is not below `number`.
    pub fn count_below(&self, number: u64) -> u64 {
        let mut count = 0;
        for run in &self.runs {
            let below = number.saturating_sub(run.first).min(run.count.into());
            count += below;
            if below < u64::from(run.count) {
                break;
            }
        }
        count
    }

    /// The first and the last number, for spans and logs.
    pub fn bounds(&self) -> Option<(u64, u64)> {
        let first = self.runs.first()?;
        let last = self.runs.last()?;
        Some((first.first, last.first + u64::from(last.count - 1)))
    }
}

/// Reads [`Numbers`] by frame index. Any order works; ascending order costs one step per run, however many runs there are.
#[derive(Debug, Clone)]
pub struct NumbersCursor<'a> {
    runs: &'a [Run],
    run: usize,
    /// Index of the current run's first frame.
    start: usize,
}

impl NumbersCursor<'_> {
    /// The number of the frame at `index`, from 0.
    pub fn get(&mut self, index: usize) -> Option<u64> {
        let run = self.seek(index)?;
        Some(run.first + (index - self.start) as u64)
    }

    /// Appends to `into` the numbers of the frames `from .. to`.
    pub fn copy_range(&mut self, mut from: usize, to: usize, into: &mut Numbers) {
        while from < to {
            let Some(run) = self.seek(from) else { return };
            let skip = from - self.start;
            let count = (run.count as usize - skip).min(to - from);
            into.push_run(Run {
                first: run.first + skip as u64,
                count: count as u32,
            });
            from += count;
        }
    }

    /// The run that holds the frame at `index`.
    fn seek(&mut self, index: usize) -> Option<Run> {
        while index < self.start {
            self.run -= 1;
            self.start -= self.runs[self.run].count as usize;
        }
        loop {
            let run = *self.runs.get(self.run)?;
            if index - self.start < run.count as usize {
                return Some(run);
            }
            self.start += run.count as usize;
            self.run += 1;
        }
    }
}
