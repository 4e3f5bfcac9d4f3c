//! What becomes of what was written: settled once it is acknowledged, written again otherwise.

use std::ops::Range;

use super::super::outgoing::Outgoing;
use super::super::unacknowledged::{Again, Unacknowledged};
use super::Work;
use crate::error::Error;
use crate::plugin::Refusal;

impl Work {
    /// True while a batch waits for its acknowledgement.
    pub(super) fn is_waiting(&self) -> bool {
        self.unacknowledged.as_ref().is_some_and(Unacknowledged::is_waiting)
    }

    /// Settles what was acknowledged since it last looked. True when that is more than before.
    pub(super) async fn settle_acknowledged(&mut self) -> bool {
        let confirmed = self.sink.confirmed();
        self.unconfirmed
            .proven(confirmed.map_or(u64::MAX, |confirmed| confirmed.proven));
        let Some(unacknowledged) = &self.unacknowledged else {
            return false;
        };
        let total = match (self.limits, confirmed) {
            (Some(limits), Some(confirmed)) => limits.due(unacknowledged, confirmed),
            (Some(_), None) => 0,
            (None, _) => self.sink.acknowledged_bytes(),
        };
        self.reject_refused(None).await;
        self.settle_up_to(total)
    }

    /// The same while a batch is in hand, which was written from this byte of its own on, and not to its end.
    pub(super) async fn settle_with(&mut self, outgoing: &mut Outgoing, from: u64) {
        let Some(behind) = self.unacknowledged.as_ref().map(Unacknowledged::written) else {
            return;
        };
        let total = self.sink.acknowledged_bytes();
        self.reject_refused(Some((outgoing, from))).await;
        self.settle_up_to(total.min(behind));
        if total > behind {
            outgoing.done_bytes(from + total - behind, |out| self.count(&out));
        }
    }

    /// Makes dead letters of what the other side has refused for good. Of the batch in hand it may be, too: it is being written from this byte of its
    /// own on, behind all others.
    async fn reject_refused(&mut self, mut in_hand: Option<(&mut Outgoing, u64)>) {
        let refusals = self.sink.take_refusals();
        if refusals.is_empty() {
            return;
        }
        let Some(mut unacknowledged) = self.unacknowledged.take() else {
            return;
        };
        let behind = unacknowledged.written();
        for Refusal { bytes, reason } in refusals {
            let reason = Error::rejected(reason);
            for (outgoing, own) in unacknowledged.on(&bytes) {
                self.reject_on(outgoing, &own, &reason).await;
            }
            if let Some((outgoing, from)) = &mut in_hand
                && bytes.end > behind
            {
                let own = *from + bytes.start.saturating_sub(behind)..*from + bytes.end - behind;
                self.reject_on(outgoing, &own, &reason).await;
            }
        }
        self.unacknowledged = Some(unacknowledged);
    }

    async fn reject_on(&self, outgoing: &mut Outgoing, own: &Range<u64>, reason: &Error) {
        for index in outgoing.frames_on(own) {
            // What its framing refused is a dead letter already.
            if outgoing.delivery.is_on_wire(index) {
                let Outgoing { delivery, span, .. } = &mut *outgoing;
                span.rejected(&self.parts.tracer, delivery.batch(), index, &reason.to_string());
                self.reject(delivery.batch(), span, index, reason).await;
                outgoing.refused(1);
            }
        }
    }

    pub(super) fn settle_up_to(&mut self, total: u64) -> bool {
        let Some(mut unacknowledged) = self.unacknowledged.take() else {
            return false;
        };
        let before = unacknowledged.bytes();
        unacknowledged.acknowledge(total, |outgoing| self.settle(outgoing));
        if let Some((outgoing, bytes)) = unacknowledged.in_part() {
            outgoing.done_bytes(bytes, |out| self.count(&out));
        }
        let after = unacknowledged.bytes();
        self.unacknowledged_bytes.set(after);
        self.unacknowledged = Some(unacknowledged);
        after < before
    }

    /// The other side is gone: puts all that was written and not acknowledged before what waits to be written, the batch in hand behind it.
    pub(super) async fn take_back(&mut self, mut in_hand: Option<(Outgoing, u64)>) {
        self.again.iter_mut().for_each(|outgoing| outgoing.refused_bytes = 0);
        if let Some((outgoing, from)) = &in_hand {
            self.note_written(outgoing, *from);
        }
        let last = self.sink.last_acknowledged().await;
        if self.unacknowledged.is_some() {
            let writing = in_hand.as_mut().map(|(outgoing, from)| (outgoing, *from));
            self.reject_refused(writing).await;
            self.settle_up_to(last.bytes);
        }
        self.note_what_may_be_lost(last.orderly);
        let Some(unacknowledged) = &mut self.unacknowledged else {
            if let Some((mut outgoing, _)) = in_hand {
                outgoing.delivery.rewind();
                outgoing.done(outgoing.delivery.frames_written(), |out| self.count(&out));
                self.again.push_front(outgoing);
            }
            return;
        };
        if let Some((outgoing, from)) = in_hand {
            let written = from..outgoing.delivery.written_bytes();
            let cost = outgoing.delivery.batch().cost() as u64;
            unacknowledged.push(outgoing, written, cost);
        }
        let mut resent = 0;
        let again = unacknowledged.take_back(last.orderly, self.sink.refused_bytes());
        for again in again.into_iter().rev() {
            let Again {
                mut what, done_bytes, ..
            } = again;
            what.refused_bytes = again.refused_bytes;
            // Of the one in hand, too.
            what.done_bytes(done_bytes, |out| self.count(&out));
            resent += what.delivery.rewind_to(done_bytes) as u64;
            self.again.push_front(what);
        }
        self.parts.context.counter("frames_resent").add(resent);
        self.unacknowledged_bytes.set(0);
    }
}
