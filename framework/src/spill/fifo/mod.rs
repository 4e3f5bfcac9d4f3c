//! The machine that decides everything about a spill store. Pure: time is an argument, effects are returned.
//!
//! The actor tells it what happened (`append`, `committed`, `read`, `settled`, `tick` …), and after each of
//! these carries out `next` until it returns nothing.

mod effect;

pub use effect::{Dropped, Effect, Mode, State};

use crate::batch::Batch;
use crate::receipt::Settled;
use crate::spill::{Found, Recovered, SpillOptions, Usage};

/// The state machine of one spill store.
#[derive(Debug)]
pub struct Fifo {}

impl Fifo {
    /// A machine for a store that was opened with these findings.
    pub fn new(_options: &SpillOptions, _recovered: Recovered) -> Self {
        Self {}
    }

    /// Takes a batch at the end of the line. Its receipt stays here until its fate is known.
    /// Always takes it (or drops it, under `when_full = "drop_newest"`): the bound is what [`Fifo::may_accept`] lets the actor grant.
    pub fn append(&mut self, _batch: Batch, _now_ns: u64) {
        todo!()
    }

    /// True while upstream may be granted more: the actor releases the demand of what it received only then.
    pub fn may_accept(&self) -> bool {
        todo!()
    }

    /// The next thing to do; call until none. `may_hand`: downstream demand is left.
    pub fn next(&mut self, _may_hand: bool, _now_ns: u64) -> Option<Effect> {
        todo!()
    }

    /// The writer made everything up to `tail` durable.
    pub fn committed(&mut self, _tail: u64, _usage: Usage) {
        todo!()
    }

    /// The writer failed: nothing since the last commit is durable. It is written again after a pause.
    pub fn write_failed(&mut self, _now_ns: u64) {
        todo!()
    }

    /// What a read found. Positions it covered without a batch count as settled; the unreadable ones are counted.
    pub fn read_done(&mut self, _found: Found) {
        todo!()
    }

    /// The read could not be carried out; it is tried again after a pause.
    pub fn read_failed(&mut self, _now_ns: u64) {
        todo!()
    }

    /// The cursor is durable, and segments below it are gone.
    pub fn cursor_persisted(&mut self, _position: u64, _usage: Usage) {
        todo!()
    }

    /// The answer to [`Effect::DropOldest`]: the frames of `range` are gone, or there was nothing to drop.
    pub fn oldest_dropped(&mut self, _range: Option<std::ops::Range<u64>>, _usage: Usage) {
        todo!()
    }

    /// A batch that was handed down has settled.
    pub fn settled(&mut self, _settled: Settled) {
        todo!()
    }

    /// Time passes: `memory_age`, retries, the cursor. Call about ten times a second.
    pub fn tick(&mut self, _now_ns: u64) {
        todo!()
    }

    /// Shutdown, first step: hands nothing down any more. What is in flight still settles.
    pub fn stop_delivering(&mut self) {
        todo!()
    }

    /// Shutdown, last step: everything unsettled goes to disk, then [`Effect::Finished`].
    pub fn persist_rest(&mut self) {
        todo!()
    }

    /// Upstream has ended: delivers everything, then [`Effect::Finished`].
    pub fn finish_when_empty(&mut self) {
        todo!()
    }

    /// Gives up writing at shutdown: upstream is told `Dropped`, what was in memory only is counted as lost, then [`Effect::Finished`].
    pub fn abandon(&mut self) {
        todo!()
    }

    /// What is observable.
    pub fn state(&self) -> State {
        todo!()
    }
}
