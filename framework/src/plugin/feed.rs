//! What a source writes into: streams of bytes to be cut into frames, frames, or batches that were made elsewhere.

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::{Notify, Semaphore};

use super::framings::FramingSpec;
use super::intake::{FrameIntake, Intake};
use super::partial::Partial;
use crate::batch::{Attributes, Batch, BatchBuilder, Numbers, Pool, PooledBuffer};
use crate::config::OnPartial;
use crate::error::Result;
use crate::find::{Answer, Found, Query, Wanted};
use crate::framing::{Cutter, Limits};
use crate::mailbox::Outlet;
use crate::receipt::{Fate, Ledger, Receipt};
use crate::spill::Streams;
use crate::telemetry::{Meters, Tracer, Wait};

/// Bytes of one read at most, and of one pooled buffer: a multiple of the 64,000 that the TCP sinks write at once, because a
/// small rest costs its receiver a wake-up like a whole piece.
pub(super) const READ_BYTES: usize = 4 * 64_000;

/// Unused read buffers kept: 2 MiB, one window's worth.
const SPARE_BUFFERS: usize = 8;

/// Everything a reader actor gives its source. Cheap to clone; clones are the same feed.
#[derive(Clone)]
pub struct Feed {
    pub(super) shared: Rc<Shared>,
}

pub(super) struct Shared {
    pub(super) source: Arc<str>,
    epoch: u64,
    next_number: Cell<u64>,
    /// Every number below is in a batch that was sent.
    sent: Cell<u64>,
    framing: FramingSpec,
    pub(super) outlet: Rc<Outlet>,
    /// Who waits for demand waits in line. A grant wakes all waiters of an outlet alike, and the same connection could always be first.
    line: Semaphore,
    pub(super) pool: Pool,
    pub(super) buffer: RefCell<Option<PooledBuffer>>,
    pub(super) partial_bytes: Cell<usize>,
    pub(super) partial_limit: usize,
    pub(super) on_partial: OnPartial,
    pub(super) meters: Meters,
    streams: Streams,
    ledger: Arc<Ledger>,
    tracer: Tracer,
    stopping: Cell<bool>,
    stop: Notify,
}

/// What a [`Feed`] is made of.
pub struct FeedParts {
    /// The actor's name: the source id of the frames.
    pub source: Arc<str>,
    /// When it began to count, in nanoseconds since 1970; later than in every earlier run.
    pub epoch: u64,
    /// How byte streams are cut.
    pub framing: FramingSpec,
    /// Where batches go.
    pub outlet: Rc<Outlet>,
    /// Bytes of unfinished frames over all connections, at most.
    pub partial_limit: usize,
    /// What happens to a frame that a stream's end leaves unfinished.
    pub on_partial: OnPartial,
    /// What the actor counts.
    pub meters: Meters,
    /// How far the store behind the source has streams of other Aqueducts.
    pub streams: Streams,
    /// Where receipts come back to.
    pub ledger: Arc<Ledger>,
    /// Decides which batches are traced.
    pub tracer: Tracer,
}

impl Feed {
    /// A feed that starts counting frames at 0 under this epoch.
    pub fn new(parts: FeedParts) -> Self {
        Self {
            shared: Rc::new(Shared {
                source: parts.source,
                epoch: parts.epoch,
                next_number: Cell::new(0),
                sent: Cell::new(0),
                framing: parts.framing,
                outlet: parts.outlet,
                line: Semaphore::new(1),
                pool: Pool::new(READ_BYTES, SPARE_BUFFERS),
                buffer: RefCell::default(),
                partial_bytes: Cell::new(0),
                partial_limit: parts.partial_limit,
                on_partial: parts.on_partial,
                meters: parts.meters,
                streams: parts.streams,
                ledger: parts.ledger,
                tracer: parts.tracer,
                stopping: Cell::new(false),
                stop: Notify::new(),
            }),
        }
    }

    /// Opens a byte stream: one connection, one file. Its bytes are cut by the source's framing; `attributes` go with every frame.
    ///
    /// # Errors
    /// When the framing refuses its options.
    pub fn stream(&self, attributes: Attributes) -> Result<Intake> {
        let framing = self.shared.framing.build()?;
        let cutter = Cutter::new(framing, self.shared.framing.limits)?;
        Ok(Intake::new(self.shared.clone(), cutter, attributes))
    }

    /// Opens a stream of ready-made frames.
    pub fn frames(&self, attributes: Attributes) -> FrameIntake {
        FrameIntake::new(self.shared.clone(), attributes)
    }

    /// Sends on a batch that was made elsewhere, such as one read back from a store or received from another Aqueduct, once the actor downstream
    /// takes more. Its payload, layout, numbers, attributes and time of reading stay as they are; nothing is cut. A batch that stands in a trace goes on in
    /// it, with the span `receive ACTOR`, or in a new one linked to it when it was read longer ago than `split_after`.
    ///
    /// - **Receipt**: a receipt that the batch brings is settled with its fate here, too; [`Receipt::none`] when nobody waits for it.
    /// - **Order**: batches leave in the order of the calls, if each is awaited before the next. Numbers are not looked at.
    /// - **Bounds**: a batch costs what it pins, and one goes past the demand at most. Whoever makes it bounds it, and keeps its offset table right.
    /// - **Cancel-safety**: a batch is sent whole or not at all. Dropped while it waits for demand, it is gone with the call and its receipt is settled as
    ///   dropped: keep a [`Batch::share`], or read it again.
    ///
    /// A batch without frames is settled as delivered.
    pub async fn forward(&self, mut batch: Batch) {
        if batch.is_empty() {
            return batch.receipt.settle(Fate::Delivered);
        }
        self.shared.permit().await;
        // It has met no store of this pipeline yet.
        batch.wait = Wait::default();
        self.shared.tracer.forward(&mut batch);
        self.shared.dispatch(batch);
    }

    /// A connection whose bytes the source cuts itself counts here what it holds of a frame, or of a message with frames, that has not come whole: all connections
    /// together may hold `partial_bytes`. An [`Intake`] does so by itself.
    pub fn partial(&self) -> Partial {
        Partial::new(self.shared.clone())
    }

    /// How long a frame may be, by the source's framing: for frames that are not cut by it.
    pub fn limits(&self) -> Limits {
        self.shared.framing.limits
    }

    /// How far the store directly behind the source has the streams that end in it, durable: for a source with [`Source::FEEDS_STORE`](super::Source::FEEDS_STORE),
    /// whose batches carry a [`Position`](crate::batch::Position). The store commits that position with the frames.
    pub fn streams(&self) -> &Streams {
        &self.shared.streams
    }

    /// True once the source should come to an end.
    pub fn is_stopping(&self) -> bool {
        self.shared.stopping.get()
    }

    /// Resolves when the source should come to an end: finish the frame in hand and return. Cancel-safe.
    pub async fn stopping(&self) {
        let notified = self.shared.stop.notified();
        tokio::pin!(notified);
        loop {
            // Enabled before the flag is read, so that a stop between the two is not missed.
            notified.as_mut().enable();
            if self.is_stopping() {
                return;
            }
            notified.as_mut().await;
            notified.set(self.shared.stop.notified());
        }
    }

    /// Asks the source to come to an end.
    pub(crate) fn stop(&self) {
        self.shared.stopping.set(true);
        self.shared.stop.notify_waiters();
    }

    /// What the reader knows of a message: which number comes next, and whether one waits in a batch that is not sent yet.
    pub(crate) fn find(&self, query: &Query) -> Answer {
        let shared = &self.shared;
        let (next, sent) = (shared.next_number.get(), shared.sent.get());
        let mut answer = Answer {
            next_seq: Some(next),
            ..Answer::default()
        };
        match &query.wanted {
            Wanted::Number { source, seq } if **source == *shared.source && (sent..next).contains(seq) => {
                answer.add(Found::unsent(&shared.source, shared.epoch, *seq));
            }
            _ => {}
        }
        answer
    }

    /// The meters of the actor.
    pub fn meters(&self) -> &Meters {
        &self.shared.meters
    }
}

impl Shared {
    /// Waits for demand, in the order of asking. Cancel-safe, but a cancelled wait loses its place.
    pub(super) async fn permit(&self) {
        // It is never closed, so the only outcome is a place at the head of the line.
        let _head = self.line.acquire().await;
        self.outlet.permit().await;
    }

    /// Numbers for `count` more frames.
    pub(super) fn numbers(&self, count: usize) -> Numbers {
        let first = self.next_number.get();
        self.next_number.set(first + count as u64);
        Numbers::new(self.source.clone(), self.epoch, first, count as u32)
    }

    /// An empty batch of frames with these attributes.
    pub(super) fn builder(&self, attributes: &Attributes) -> BatchBuilder {
        let mut builder = BatchBuilder::new(&self.numbers(0));
        builder.batch_attributes(attributes.clone());
        builder
    }

    /// Gives a batch of this feed's own numbers a trace, and sends it.
    pub(super) fn send(&self, mut batch: Batch) {
        if let Some((_, last)) = batch.numbers.bounds() {
            self.sent.set(self.sent.get().max(last + 1));
        }
        self.tracer.receive(&mut batch);
        self.dispatch(batch);
    }

    /// Counts a batch, gives it a receipt, and sends it.
    fn dispatch(&self, mut batch: Batch) {
        let bytes = frame_bytes(&batch);
        self.meters.frames_in.add(batch.len() as u64);
        self.meters.bytes_in.add(bytes);
        // The token is the frame count: without a store all a source can do about a drop is count what was lost.
        let own = self.ledger.issue(batch.len() as u64, 1);
        let brought = std::mem::replace(&mut batch.receipt, Receipt::none());
        batch.receipt = brought.beside(own);
        self.meters.frames_out.add(batch.len() as u64);
        self.meters.bytes_out.add(bytes);
        self.outlet.send(batch);
    }

    /// Takes the shared read buffer, or another when it travels with a batch.
    pub(super) fn take_buffer(&self) -> PooledBuffer {
        self.buffer.borrow_mut().take().unwrap_or_else(|| self.pool.take())
    }
}

/// The bytes of a batch's frames without framing.
pub(crate) fn frame_bytes(batch: &Batch) -> u64 {
    let framing = u64::from(batch.layout.head + batch.layout.tail) * batch.len() as u64;
    u64::from(batch.ends.last().copied().unwrap_or(0)).saturating_sub(framing)
}
