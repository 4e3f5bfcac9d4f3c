//! The streams that have come since the source was started, and what the store tells of their batches.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use aqueduct_framework::batch::StreamId;
use aqueduct_framework::plugin::Context;
use aqueduct_framework::receipt::{Ledger, Receipt, Settled};
use aqueduct_framework::spill::{Mark, Streams};
use aqueduct_framework::telemetry::now_ns;
use tokio::sync::Notify;

use crate::link::{Admission, Incoming, admit};
use crate::sources::told::Told;

/// By stream.
#[derive(Default)]
pub(super) struct Lines(BTreeMap<StreamId, Rc<Line>>);

/// One stream.
pub(super) struct Line {
    pub(super) incoming: RefCell<Incoming>,
    /// Rung when a connection is replaced.
    pub(super) replaced: Notify,
    /// Connections that have not ended.
    open: Cell<usize>,
    told: Arc<Told>,
    ledger: Arc<Ledger>,
}

impl Lines {
    /// The line of a stream, with one connection more; none when there are too many.
    pub(super) fn enter(
        &mut self,
        stream: StreamId,
        most: usize,
        streams: &Streams,
        context: &Context,
    ) -> Option<Rc<Line>> {
        self.0.values().for_each(|line| line.hear(context));
        if !self.0.get(&stream).is_some_and(|line| line.is_open()) {
            self.admit(stream, most, streams, context)?;
        }
        let line = self.0.entry(stream).or_insert_with(|| {
            let durable = streams.get(stream).map(|mark| mark.sequence);
            Rc::new(Line::new(durable))
        });
        line.open.set(line.open.get() + 1);
        Some(line.clone())
    }

    fn admit(&mut self, stream: StreamId, most: usize, streams: &Streams, context: &Context) -> Option<()> {
        let now = Mark {
            sequence: 0,
            seen_s: now_ns() / 1_000_000_000,
        };
        // One that has come but sent nothing yet takes a place too.
        let mut known = streams.all();
        let here = self.0.iter().filter(|(_, line)| line.is_busy());
        for (stream, _) in here {
            known.entry(*stream).or_insert(now);
        }
        let busy = |stream| self.0.get(&stream).is_some_and(|line| line.is_busy());
        match admit(stream, &known, most, busy) {
            Admission::Welcome => {}
            Admission::Instead(silent) => {
                streams.forget(silent);
                self.0.remove(&silent);
                let forgotten = context.counter("streams_forgotten");
                forgotten.add(1);
                if forgotten.get().is_power_of_two() {
                    tracing::warn!(actor = %context.actor, total = forgotten.get(), "max_streams = {most} are known: stream {silent}, which was silent for longest, is forgotten; if it comes back, frames of it may come twice");
                }
            }
            Admission::Full => return None,
        }
        // What the store knows is all there is to know of those that are at rest.
        self.0.retain(|_, line| line.is_busy());
        Some(())
    }
}

impl Line {
    fn new(durable: Option<u64>) -> Self {
        let (told, ledger) = Told::with_ledger();
        Self {
            incoming: RefCell::new(Incoming::new(durable)),
            replaced: Notify::new(),
            open: Cell::new(0),
            told,
            ledger,
        }
    }

    fn is_open(&self) -> bool {
        self.open.get() > 0
    }

    /// It is connected, or the store has not settled all of it.
    fn is_busy(&self) -> bool {
        self.is_open() || self.incoming.borrow().waiting_frames() > 0
    }

    /// A connection has ended.
    pub(super) fn leave(&self) {
        self.open.set(self.open.get().saturating_sub(1));
    }

    /// The receipt of a batch.
    pub(super) fn receipt(&self, token: u64) -> Receipt {
        self.ledger.issue(token, 1)
    }

    /// Resolves when the store has told something. Cancel-safe; for the connection that counts.
    pub(super) async fn rung(&self) {
        self.told.rung().await;
    }

    /// Rings again, for the connection that counts.
    pub(super) fn pass_on(&self) {
        self.told.ring();
    }

    /// Hears what the store has told.
    pub(super) fn hear(&self, context: &Context) {
        let mut incoming = self.incoming.borrow_mut();
        for Settled { token, fate, .. } in self.told.take() {
            context.counter("frames_refused").add(incoming.settled(token, fate));
        }
    }
}
