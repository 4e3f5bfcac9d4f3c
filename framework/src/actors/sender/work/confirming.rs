//! What the other side has confirmed, where a sink can tell, and what a connection that broke off may have cost.

use super::super::StoreAbove;
use super::super::outgoing::Outgoing;
use super::super::unacknowledged::Unacknowledged;
use super::Work;
use crate::error::Result;
use crate::plugin::{Acknowledgement, Confirmed, Unconfirmed};

/// How much may wait to be confirmed, in bytes that the batches pin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    settle_bytes: u64,
    unread_bytes: u64,
}

impl Limits {
    /// None where the sink does not confirm. What a store lets out before some of it is settled bounds both, or it would stand still.
    pub(super) fn new(acknowledgement: Acknowledgement, store: Option<&StoreAbove>) -> Option<Self> {
        let Acknowledgement::Confirmed {
            settle_bytes,
            unread_bytes,
        } = acknowledgement
        else {
            return None;
        };
        let most = store.map_or(u64::MAX, |store| store.in_flight_bytes);
        Some(Self {
            settle_bytes: settle_bytes.min(most / 4),
            unread_bytes: unread_bytes.min(most / 2),
        })
    }

    pub(super) fn due(self, unacknowledged: &Unacknowledged<Outgoing>, confirmed: Confirmed) -> u64 {
        unacknowledged.due(confirmed, self.settle_bytes, self.unread_bytes)
    }
}

impl Work {
    /// Notes what was written of a batch on this connection, from byte `from` of its own.
    pub(super) fn note_written(&mut self, outgoing: &Outgoing, from: u64) {
        let delivery = &outgoing.delivery;
        let frames = delivery.frames_written().saturating_sub(delivery.frame_behind(from));
        self.unconfirmed
            .wrote(delivery.written_bytes().saturating_sub(from), frames as u64);
    }

    /// The connection has ended: notes what counts as delivered, is not written again, and was not proven to be read.
    pub(super) fn note_what_may_be_lost(&mut self, orderly: bool) {
        let written = self.unconfirmed.written();
        let proven = self.sink.confirmed().map_or(written, |confirmed| confirmed.proven);
        let given_up = match &self.unacknowledged {
            Some(unacknowledged) if orderly => unacknowledged.acknowledged(),
            Some(unacknowledged) => unacknowledged.given_up(),
            None => written,
        };
        let lost = self.unconfirmed.end(proven..given_up.max(proven));
        self.may_be_lost = lost.counted(&self.parts.context);
    }

    /// Says once what a connection without another one behind it may have cost.
    fn say_what_may_be_lost(&mut self) {
        if let Some(lost) = self.may_be_lost.take() {
            tracing::warn!(actor = %self.parts.context.actor, frames = lost.frames, bytes = lost.bytes, "the end: {lost}");
        }
    }

    /// Everything was written and nothing more comes: waits until it is confirmed. What is not in the end goes back to the store; without one it counts as
    /// delivered, and as unconfirmed.
    ///
    /// # Errors
    /// `unavailable` when the other side has gone meanwhile.
    pub(super) async fn finish(&mut self) -> Result<()> {
        if self.limits.is_none() || !self.is_waiting() {
            return Ok(());
        }
        self.sink.finish().await?;
        self.settle_acknowledged().await;
        if !self.is_waiting() {
            return Ok(());
        }
        if self.parts.store.is_some() {
            // Nothing has broken off: what is settled is not in doubt.
            self.unconfirmed = Unconfirmed::default();
            self.take_back(None).await;
            self.give_back_in_hand();
        } else {
            self.settle_up_to(u64::MAX);
            self.note_what_may_be_lost(false);
            self.say_what_may_be_lost();
        }
        Ok(())
    }
}
