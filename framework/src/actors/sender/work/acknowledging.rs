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
        self.unacknowledged.is_some() && self.settle_up_to(self.sink.acknowledged_bytes())
    }

    fn settle_up_to(&mut self, total: u64) -> bool {
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
    pub(super) async fn take_back(&mut self, in_hand: Option<(Outgoing, u64)>) {
        self.again.iter_mut().for_each(|outgoing| outgoing.refused_bytes = 0);
        if self.unacknowledged.is_none() {
            if let Some((mut outgoing, _)) = in_hand {
                outgoing.delivery.rewind();
                outgoing.done(outgoing.delivery.frames_written(), |out| self.count(&out));
                self.again.push_front(outgoing);
            }
            return;
        }
        let last = self.sink.last_acknowledged().await;
        self.settle_up_to(last.bytes);
        let Some(unacknowledged) = &mut self.unacknowledged else {
            return;
        };
        if let Some((outgoing, from)) = in_hand {
            let written = from..outgoing.delivery.written_bytes();
            unacknowledged.push(outgoing, written);
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
