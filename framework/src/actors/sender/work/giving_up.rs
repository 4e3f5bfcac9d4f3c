//! What becomes of frames that have failed for too long: dead letters.

use super::super::outgoing::Outgoing;
use super::Work;
use crate::backoff::GaveUp;
use crate::error::Error;
use crate::seeded::{self, Bug};

impl Work {
    /// Notes that something failed, and gives up what it was about when that has gone on for `give_up_after`. Returns how long to wait.
    pub(super) async fn failed(&mut self, error: &Error) -> std::time::Duration {
        self.parts.context.counter(error.failure().counter()).add(1);
        let now = self.began.elapsed();
        let (wait, gave_up) = if error.is_departure() {
            (std::time::Duration::ZERO, self.backoff.departed(now))
        } else {
            self.backoff.failed(fastrand::f64(), now)
        };
        if let Some(gave_up) = gave_up {
            self.give_up(gave_up, error).await;
        }
        wait
    }

    /// Gives up the frames that an answer refused; without one the oldest batch. One at a failure, so that what an outage costs is bounded by its
    /// attempts, and every batch has one of its own.
    async fn give_up(&mut self, gave_up: GaveUp, error: &Error) {
        let reason = Error::rejected(format!("{gave_up}: {error}"));
        self.fetch().await;
        let some_refused = self.again.iter().any(Outgoing::has_refused);
        let (mut found, mut again) = (false, std::mem::take(&mut self.again));
        for outgoing in &mut again {
            if outgoing.unsettled_frames() == 0 || (found && !some_refused) {
                continue;
            }
            found = true;
            let end = if some_refused {
                outgoing.refused_end()
            } else {
                outgoing.delivery.batch().len()
            };
            self.give_up_frames(outgoing, end, &reason).await;
            if outgoing.delivery.is_done() {
                self.count_out(outgoing);
            }
        }
        again.retain(|outgoing| outgoing.unsettled_frames() > 0 || !outgoing.delivery.is_done());
        self.again = again;
        // More may come to its attempt, though nobody is there.
        self.inbox.open();
    }

    /// Takes up the next batch that waits, when none is in hand.
    async fn fetch(&mut self) {
        while self.again.iter().all(|outgoing| outgoing.unsettled_frames() == 0) {
            let Some(held) = self.inbox.try_next() else { return };
            if let Some(outgoing) = self.begin(held).await {
                self.again.push_back(outgoing);
            }
        }
    }

    /// Makes dead letters of the frames from the first that is to be written up to `end`.
    async fn give_up_frames(&self, outgoing: &mut Outgoing, end: usize, reason: &Error) {
        let given_up = self.parts.context.counter("given_up");
        while outgoing.delivery.frames_written() < end {
            let index = outgoing.delivery.failed_frame();
            // What its framing refused is a dead letter already.
            if outgoing.delivery.is_on_wire(index) {
                let Outgoing { delivery, span, .. } = &mut *outgoing;
                span.rejected(&self.parts.tracer, delivery.batch(), index, &reason.to_string());
                if !seeded::has(Bug::GivenUpWithoutLetter) {
                    self.reject(delivery.batch(), span, index, reason).await;
                }
                outgoing.refused(1);
                given_up.add(1);
            }
            outgoing.delivery.skip_frame();
        }
        outgoing.done(outgoing.delivery.frames_written(), |out| self.count(&out));
        // Not by itself has it come further.
        outgoing.failed();
    }
}
