//! The way out of a store: upstream's end, what is in flight, what is left in memory, the files.

use actix::prelude::*;

use super::{Ended, Order, Outcome, Spill};
use crate::spill::thread::StorageCommand;

/// How far the store is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ending {
    /// It is not.
    No,
    /// Upstream has ended: everything is delivered first.
    Emptying,
    /// Nothing is delivered any more; what is in flight settles.
    Draining,
    /// What is left is being persisted.
    Persisting,
    /// The files are being closed.
    Closing {
        /// The thread was told.
        sent: bool,
    },
}

impl Spill {
    /// Follows the steps out: upstream's end, then what is in flight, then the disk.
    pub(super) fn advance_ending(&mut self) {
        let upstream_ended = self.inbox.is_finished();
        if self.ending == Ending::No && upstream_ended {
            self.ending = Ending::Emptying;
            self.fifo.finish_when_empty();
        }
        let unread = self.serving.as_ref().is_none_or(|serving| serving.gone);
        if self.ending == Ending::Draining && upstream_ended && unread && self.fifo.state().in_flight_bytes == 0 {
            self.persist();
        }
    }

    fn persist(&mut self) {
        self.ending = Ending::Persisting;
        self.fifo.persist_rest();
        let waiting = self.fifo.state().waiting_frames;
        if waiting > 0 {
            if self.serving.is_some() {
                tracing::info!(actor = %self.context.actor, "{waiting} frames are kept for cursors: what is not on disk yet is written there for the next run");
            } else {
                tracing::info!(actor = %self.context.actor, "{waiting} frames are undelivered: what is not on disk yet is written there for the next run");
            }
        }
    }

    /// Nothing is left to do but to close; readers come to their end first, unless they are not waited for any more.
    pub(super) fn finish(&mut self) {
        if self.ending < Ending::Draining {
            self.outlet.finish();
        }
        let forced = self.ending == Ending::Persisting;
        self.ending = Ending::Closing { sent: false };
        if let Some(serving) = &mut self.serving {
            serving.stop();
            serving.gone |= forced;
        }
    }

    /// The deadline: readers are not waited for.
    fn forget_readers(&mut self) {
        if let Some(serving) = &mut self.serving {
            serving.stop();
            serving.gone = true;
        }
    }

    pub(super) fn close_unread(&mut self) {
        if self.ending != (Ending::Closing { sent: false }) {
            return;
        }
        if let Some(serving) = &mut self.serving {
            if !serving.gone {
                return;
            }
            // Cursors last: what their readers have settled until now.
            self.thread.send(serving.rest());
        }
        self.ending = Ending::Closing { sent: true };
        self.thread.send(StorageCommand::Close);
    }

    pub(super) fn end(&self, outcome: Outcome) {
        self.supervisor.do_send(Ended {
            actor: self.context.actor.clone(),
            outcome,
        });
    }
}

impl Handler<Order> for Spill {
    type Result = ();

    fn handle(&mut self, order: Order, _: &mut Self::Context) {
        match (order, self.ending) {
            (Order::Drain, Ending::No | Ending::Emptying) => {
                self.ending = Ending::Draining;
                self.fifo.stop_delivering();
                self.outlet.finish();
                if let Some(serving) = &mut self.serving {
                    serving.stop();
                }
            }
            // The deadline: whoever has not settled by now will not, and no more will come.
            (Order::Drain, Ending::Draining) => self.persist(),
            // Readers that are still there are ended by now; their store notices.
            (Order::Drain, _) => {}
            (Order::Terminate, _) => {
                // What is in memory only goes back upstream as dropped; what was committed stays.
                self.fifo.abandon();
                self.outlet.finish();
                self.forget_readers();
                self.ending = self.ending.max(Ending::Persisting);
            }
        }
        self.pump();
    }
}
