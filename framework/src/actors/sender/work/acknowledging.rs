//! What becomes of what was written: settled once it is acknowledged, written again otherwise.

use super::super::outgoing::Outgoing;
use super::super::unacknowledged::{Again, Unacknowledged};
use super::Work;

impl Work {
    /// True while a batch waits for its acknowledgement.
    pub(super) fn is_waiting(&self) -> bool {
        self.unacknowledged.as_ref().is_some_and(Unacknowledged::is_waiting)
    }

    /// Settles what was acknowledged since it last looked. True when that is more than before.
    pub(super) fn settle_acknowledged(&mut self) -> bool {
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
        self.settle_up_to(total)
    }

    pub(super) fn settle_up_to(&mut self, total: u64) -> bool {
        let Some(mut unacknowledged) = self.unacknowledged.take() else {
            return false;
        };
        let before = unacknowledged.bytes();
        unacknowledged.acknowledge(total, |outgoing| self.settle(outgoing));
        let after = unacknowledged.bytes();
        self.unacknowledged_bytes.set(after);
        self.unacknowledged = Some(unacknowledged);
        after < before
    }

    /// The other side is gone: puts all that was written and not acknowledged before what waits to be written, the batch in hand behind it.
    pub(super) async fn take_back(&mut self, in_hand: Option<(Outgoing, u64)>) {
        self.again.iter_mut().for_each(|outgoing| outgoing.refused_bytes = 0);
        if let Some((outgoing, from)) = &in_hand {
            self.note_written(outgoing, *from);
        }
        let last = self.sink.last_acknowledged().await;
        if self.unacknowledged.is_some() {
            self.settle_up_to(last.bytes);
        }
        self.note_what_may_be_lost(last.orderly);
        let Some(unacknowledged) = &mut self.unacknowledged else {
            if let Some((mut outgoing, _)) = in_hand {
                outgoing.delivery.rewind();
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
        let refused = self.sink.refused_bytes();
        for again in unacknowledged.take_back(last.orderly, refused).into_iter().rev() {
            let Again {
                mut what, done_bytes, ..
            } = again;
            what.refused_bytes = again.refused_bytes;
            resent += what.delivery.rewind_to(done_bytes) as u64;
            self.again.push_front(what);
        }
        self.parts.context.counter("frames_resent").add(resent);
        self.unacknowledged_bytes.set(0);
    }
}
