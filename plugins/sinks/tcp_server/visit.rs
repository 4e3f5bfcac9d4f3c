//! One connection of a named client, while it is served.

use std::pin::Pin;
use std::time::Duration;

use aqueduct_framework::error::{Error, Reaction, Result};
use aqueduct_framework::framing::DynFraming;
use aqueduct_framework::plugin::{Acknowledgement, Delivery, Read, ReadCursor, Unconfirmed};
use tokio::time::{sleep, timeout};

use super::super::connection::Connection;
use super::named::House;
use super::sent::Sent;

/// Payload bytes read from the store at once for each client, and kept in memory until it has taken them.
const READ_BYTES: u64 = 256 * 1024;

/// The first pause between two looks at what was acknowledged; it doubles up to the longest while nothing is.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// The pause after the store could not be read.
const UNREADABLE_PAUSE: Duration = Duration::from_secs(1);

/// Why a visit ends.
pub(super) enum Leave {
    /// The client is not there any more.
    Gone(Error),
    /// It came anew, on another connection.
    CameAnew,
    /// The pipeline ends.
    Stopping,
    /// Nobody can be served any more.
    Failed(Error),
}

/// A client that is here.
pub(super) struct Visit<'h> {
    connection: Connection,
    cursor: ReadCursor,
    framing: Box<dyn DynFraming>,
    sent: Sent,
    /// Bytes that the connection took.
    written: u64,
    /// Bytes that count as delivered, and the frames among them that are not proven to be read.
    settled: u64,
    unconfirmed: Unconfirmed,
    house: &'h House,
}

impl<'h> Visit<'h> {
    /// # Errors
    /// When the framing refuses its options.
    pub(super) fn new(house: &'h House, connection: Connection, cursor: ReadCursor) -> Result<Self> {
        Ok(Self {
            framing: house.context.framing()?,
            connection,
            cursor,
            sent: Sent::default(),
            written: 0,
            settled: 0,
            unconfirmed: Unconfirmed::default(),
            house,
        })
    }

    /// Frames that it has not taken.
    pub(super) fn waiting_frames(&self) -> u64 {
        self.cursor.waiting_frames()
    }

    /// Gives the client whatever there is, and waits for more.
    pub(super) async fn serve(&mut self, mut away: Pin<&mut impl Future<Output = Leave>>) -> Leave {
        loop {
            let served = match self.next(away.as_mut()).await {
                Ok(read) => self.give(read, away.as_mut()).await,
                Err(leave) => Err(leave),
            };
            if let Err(leave) = served {
                return leave;
            }
        }
    }

    /// The next frames for it.
    async fn next(&mut self, mut away: Pin<&mut impl Future<Output = Leave>>) -> Result<Read, Leave> {
        let mut pause = FIRST_PAUSE;
        loop {
            let moved = self.settle();
            pause = if moved {
                FIRST_PAUSE
            } else {
                (pause * 2).min(LONGEST_PAUSE)
            };
            let read = tokio::select! {
                biased;
                leave = &mut away => return Err(leave),
                gone = self.connection.watch() => return Err(Leave::Gone(gone)),
                read = self.cursor.next(READ_BYTES) => read,
                () = sleep(pause), if self.sent.is_waiting() => continue,
            };
            match read {
                Ok(read) => return Ok(read),
                Err(error) if error.reaction() == Reaction::Retry => {
                    tracing::warn!(actor = %self.house.context.actor, "{} has to wait: {error}", self.cursor.name());
                    tokio::select! {
                        biased;
                        leave = &mut away => return Err(leave),
                        gone = self.connection.watch() => return Err(Leave::Gone(gone)),
                        () = sleep(UNREADABLE_PAUSE) => {}
                    }
                }
                Err(error) if error.reaction() == Reaction::Reject => return Err(Leave::CameAnew),
                Err(error) => return Err(Leave::Failed(error)),
            }
        }
    }

    /// Writes what was read, whole unless the client is gone.
    async fn give(&mut self, read: Read, mut away: Pin<&mut impl Future<Output = Leave>>) -> Result<(), Leave> {
        self.house.roll.passed(self.cursor.name(), read.passed_frames);
        let first = read.end - read.batch.len() as u64;
        let (mut delivery, refused) = Delivery::encoded(&*self.framing, read.batch);
        for (index, error) in &refused {
            let bytes = delivery.batch().frame(*index).bytes().len() as u64;
            self.cursor.reject(first + *index as u64, bytes);
            self.reject(error);
        }
        self.sent.push(first, delivery.ends());
        self.unconfirmed
            .wrote(delivery.wire().len() as u64, delivery.ends().len() as u64);
        self.connection.check().map_err(Leave::Gone)?;
        while !self.push(&mut delivery).map_err(Leave::Gone)? {
            tokio::select! {
                biased;
                leave = &mut away => {
                    if matches!(leave, Leave::Stopping) {
                        self.finish(&mut delivery).await.map_err(Leave::Gone)?;
                    }
                    return Err(leave);
                }
                writable = self.connection.writable() => writable.map_err(Leave::Gone)?,
            }
        }
        Ok(())
    }

    /// What the socket takes now. True when that was all.
    fn push(&mut self, delivery: &mut Delivery) -> Result<bool> {
        let before = delivery.wire().len();
        let pushed = self.connection.push(delivery);
        self.written += (before - delivery.wire().len()) as u64;
        self.settle();
        pushed
    }

    /// The pipeline ends in the middle of a batch: the rest of it, as far as the client takes it in time.
    async fn finish(&mut self, delivery: &mut Delivery) -> Result<()> {
        let finished = timeout(self.house.terms.linger, async {
            while !self.push(delivery)? {
                self.connection.writable().await?;
            }
            Ok(())
        });
        // What it did not take comes again.
        finished.await.unwrap_or(Ok(()))
    }

    /// Settles what is with the client by now. True when that is more than before.
    fn settle(&mut self) -> bool {
        let confirmed = self.connection.confirmed();
        // Where the client answers, its answer is the proof.
        self.unconfirmed
            .proven(confirmed.map_or(self.written, |confirmed| confirmed.proven));
        let bytes = match self.house.acknowledgement {
            Acknowledgement::Written => self.written,
            Acknowledgement::Later { resend_bytes } => {
                self.connection.acknowledged_bytes().saturating_sub(resend_bytes)
            }
            Acknowledgement::Confirmed { .. } => confirmed.unwrap_or_default().settled,
        };
        self.settle_bytes(bytes)
    }

    fn settle_bytes(&mut self, bytes: u64) -> bool {
        self.settled = self.settled.max(bytes);
        let settled = self.sent.settled(bytes);
        settled.inspect(|position| self.cursor.settle(*position)).is_some()
    }

    /// Takes leave: settles what is known to be with the client in the end.
    ///
    /// # Errors
    /// `fatal` when nobody can be served any more.
    pub(super) async fn leave(&mut self, leave: Leave) -> Result<()> {
        match leave {
            Leave::CameAnew => {
                self.settle();
                tracing::info!(actor = %self.house.context.actor, "{} came anew: its older connection is closed", self.cursor.name());
                self.note_what_may_be_lost();
                Ok(())
            }
            Leave::Gone(gone) => {
                self.settle_last().await;
                self.house.terms.farewell(&gone);
                self.note_what_may_be_lost();
                self.house.context.counter("disconnects").add(1);
                Ok(())
            }
            Leave::Stopping => {
                self.hear_answers().await;
                if matches!(self.house.acknowledgement, Acknowledgement::Confirmed { .. }) {
                    // What the client does not confirm comes again, so it does not matter how it left.
                    let _ = self.connection.finish(self.house.terms.linger).await;
                }
                self.settle_last().await;
                if let Err(error) = self.connection.close(self.house.terms.linger).await {
                    tracing::warn!(actor = %self.house.context.actor, "the end was not clean: {error}");
                }
                // A slow one took more while the close waited for it.
                self.settle();
                Ok(())
            }
            Leave::Failed(error) => Err(error),
        }
    }

    /// The pipeline ends: answers to what was written may still come.
    async fn hear_answers(&mut self) {
        if self.house.terms.reply.is_none() {
            return;
        }
        let heard = timeout(self.house.terms.linger, async {
            while self.sent.is_waiting() {
                tokio::select! {
                    _ = self.connection.watch() => return,
                    () = sleep(FIRST_PAUSE) => self.settle(),
                };
            }
        });
        // What was not answered comes again.
        let _ = heard.await;
    }

    async fn settle_last(&mut self) {
        let resend_bytes = match self.house.acknowledgement {
            Acknowledgement::Written => {
                self.settle();
                return;
            }
            Acknowledgement::Later { resend_bytes } => resend_bytes,
            Acknowledgement::Confirmed { .. } => 0,
        };
        let last = self.connection.last_acknowledged(self.house.terms.linger).await;
        let again = if last.orderly { 0 } else { resend_bytes };
        self.settle_bytes(last.bytes.saturating_sub(again));
    }

    /// The connection has ended: counts what is not written again and was not proven to be read.
    fn note_what_may_be_lost(&mut self) {
        let Some(confirmed) = self.connection.confirmed() else {
            return;
        };
        let lost = self
            .unconfirmed
            .end(confirmed.proven..self.settled.max(confirmed.proven));
        if let Some(lost) = lost.counted(&self.house.context) {
            tracing::warn!(actor = %self.house.context.actor, frames = lost.frames, bytes = lost.bytes, "{}: {lost}", self.cursor.name());
        }
    }

    /// A frame that does not fit the framing can be given to nobody.
    fn reject(&self, error: &Error) {
        let rejected = &self.house.context.meters.rejected;
        rejected.add(1);
        if rejected.get().is_power_of_two() {
            tracing::warn!(actor = %self.house.context.actor, total = rejected.get(), "a frame cannot be given to {}: {error}", self.cursor.name());
        }
    }
}
