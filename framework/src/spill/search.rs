//! A search for one message in the records on disk: a state machine that says where to look next. Pure: records come in, positions go out.
//!
//! Numbers ascend with the positions, source by source and epoch by epoch, so a number is found by halving the range, with one record read for
//! each step. An id may be anywhere, and in a store behind another one a number may be too, because what is delivered again comes late: all records
//! are read in order.

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use crate::batch::Batch;
use crate::find::{FOUND_MAX, Found, Query, State, Wanted, look};

/// What a look at one place on disk found.
#[derive(Debug, Default)]
pub struct Peeked {
    /// The batches of the record there, or of the next one, with their positions; none when it cannot be read.
    pub batches: Vec<(u64, Batch)>,
    /// The position behind it.
    pub next: u64,
    /// It cannot be read.
    pub damaged: bool,
}

/// What a search came to.
#[derive(Debug, Default)]
pub struct Searched {
    /// The messages with their positions. Their state is for the store to say.
    pub found: Vec<(u64, Found)>,
    /// Where the search ended before its time: positions from there on were not looked at.
    pub ended_at: Option<u64>,
    /// Records that could not be read.
    pub damaged: u64,
}

/// A search under way.
#[derive(Debug)]
pub struct Search {
    query: Arc<Query>,
    range: Range<u64>,
    way: Way,
    searched: Searched,
}

#[derive(Debug)]
enum Way {
    /// Record by record; the next one is here.
    Through(u64),
    Halving(Halving),
}

/// The order of numbers: first the epoch, then the counter.
type Number = (u64, u64);

#[derive(Debug)]
struct Halving {
    step: Step,
    /// What this step looks for is in here, if anywhere.
    within: Range<u64>,
    /// Where the look under way began.
    from: u64,
    /// Where the next look is: at `from`, or behind records of other sources.
    at: u64,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// The first record of an epoch later than this one.
    Epoch(Option<u64>),
    /// The record of this number; with the highest counter, the end of its epoch.
    Number(Number),
}

impl Search {
    /// A search for what is meant in the positions of `range`; `ascending`: the numbers of each source ascend there.
    pub fn new(query: Arc<Query>, range: Range<u64>, ascending: bool) -> Self {
        let way = match query.wanted {
            Wanted::Id(_) => Way::Through(range.start),
            Wanted::Number { .. } if !ascending => Way::Through(range.start),
            Wanted::Number { .. } => Way::Halving(Halving {
                step: Step::Epoch(None),
                within: range.clone(),
                from: range.start,
                at: range.start,
            }),
        };
        Self {
            query,
            range,
            way,
            searched: Searched::default(),
        }
    }

    /// What is looked for, and until when.
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// The position to look at next; none once the search is over.
    pub fn next(&self) -> Option<u64> {
        let (Way::Through(at) | Way::Halving(Halving { at, .. })) = self.way;
        (at < self.range.end && self.searched.found.len() <= FOUND_MAX).then_some(at)
    }

    /// Takes what was found at [`Search::next`].
    pub fn take(&mut self, peeked: &Peeked) {
        self.searched.damaged += u64::from(peeked.damaged);
        match (&mut self.way, &self.query.wanted) {
            (Way::Halving(halving), Wanted::Number { source, seq }) => {
                let start = peeked.batches.first().map_or(halving.at, |(position, _)| *position);
                let record = start..peeked.next.max(halving.at + 1);
                if halving.take(bounds(&peeked.batches, source), *seq, record, self.range.end) {
                    self.note(&peeked.batches);
                }
            }
            (Way::Halving(Halving { at, .. }) | Way::Through(at), _) => {
                *at = peeked.next.max(*at + 1);
                self.note(&peeked.batches);
            }
        }
    }

    /// What came of it, now.
    pub fn end(self) -> Searched {
        Searched {
            ended_at: self.next(),
            ..self.searched
        }
    }

    fn note(&mut self, batches: &[(u64, Batch)]) {
        for (first, batch) in batches {
            let since_ns = Some(batch.wait.since_ns).filter(|since| *since > 0);
            // Which state it is in is for the store to say, which asked.
            for (index, found) in look(batch, &self.query, &State::Unsent, since_ns) {
                let position = first + index as u64;
                let known = self.searched.found.iter().any(|(known, _)| *known == position);
                if !known && self.range.contains(&position) {
                    self.searched.found.push((position, found));
                }
            }
        }
    }
}

impl Halving {
    /// Takes the first and the last number of the source in a record; true when the number looked for may be between them.
    fn take(&mut self, seen: Option<(Number, Number)>, seq: u64, record: Range<u64>, limit: u64) -> bool {
        match (self.step, seen) {
            // Nothing of this source here: on to the next record.
            (_, None) if record.end < self.within.end => {
                self.at = record.end;
                return false;
            }
            (_, None) => self.within.end = self.from,
            (Step::Epoch(after), Some((first, last))) => {
                let Some(epoch) = [first.0, last.0].into_iter().find(|epoch| Some(*epoch) > after) else {
                    self.at = record.end;
                    return false;
                };
                self.step = Step::Number((epoch, seq));
                self.within.start = record.start;
            }
            (Step::Number(number), Some((_, last))) if last < number => self.within.start = record.end,
            (Step::Number(number), Some((first, _))) if first > number => {
                self.within.end = self.from.min(record.start);
            }
            (Step::Number(_), Some(_)) => {
                self.within = record.start..record.start;
                self.aim(limit);
                return true;
            }
        }
        self.aim(limit);
        false
    }

    /// Chooses the next look; a number that is nowhere left is looked for in the next epoch.
    fn aim(&mut self, limit: u64) {
        if let Step::Number((epoch, counter)) = self.step
            && self.within.is_empty()
        {
            self.within = self.within.start.min(limit)..limit;
            self.step = if counter < u64::MAX && !self.within.is_empty() {
                Step::Number((epoch, u64::MAX))
            } else {
                Step::Epoch(Some(epoch))
            };
        } else if self.within.is_empty() {
            self.within = limit..limit;
        }
        self.from = match self.step {
            Step::Epoch(_) => self.within.start,
            Step::Number(_) => self.within.start + (self.within.end - self.within.start) / 2,
        };
        self.at = self.from;
    }
}

/// The first and the last number of a source in these batches.
fn bounds(batches: &[(u64, Batch)], source: &str) -> Option<(Number, Number)> {
    let numbered = |(_, batch): &(u64, Batch)| {
        let own = *batch.numbers.source == *source;
        let (first, last) = batch.numbers.bounds().filter(|_| own)?;
        Some(((batch.numbers.epoch, first), (batch.numbers.epoch, last)))
    };
    let mut all = batches.iter().filter_map(numbered);
    let first = all.next()?;
    Some((first.0, all.last().unwrap_or(first).1))
}
