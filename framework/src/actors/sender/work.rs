//! The sender's task: open, take a batch, write it, settle it; again from `open` when the other side is gone.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::{Drain, SenderParts, Trouble};
use crate::actors::{Outcome, build};
use crate::backoff::Backoff;
use crate::batch::{Batch, BatchBuilder, FrameAttribute};
use crate::error::{Error, Reaction, Result};
use crate::find::State;
use crate::flight::Repeats;
use crate::framing::{DynFraming, encode_batch, is_wire_form};
use crate::mailbox::{Inbox, Outlet};
use crate::plugin::rejection::Rejection;
use crate::plugin::{Delivery, DynSink, frame_bytes};
use crate::receipt::Fate;
use crate::telemetry::{Counter, TraceContext, WorkSpan};

/// Bytes written before other actors of the thread get a turn.
const TURN_BYTES: usize = 1024 * 1024;

pub(super) async fn work(
    parts: SenderParts,
    inbox: Rc<Inbox>,
    rejected: Rc<Outlet>,
    drain: Rc<Drain>,
    trouble: Rc<RefCell<Trouble>>,
) -> Outcome {
    let built = build(&parts.sink, &parts.context).and_then(|sink| Ok((sink, parts.framing.build()?)));
    let (sink, framing) = match built {
        Ok(built) => built,
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    let mut work = Work {
        backoff: Backoff::new(parts.retry.clone()),
        retries: parts.context.counter("retries"),
        opened: parts.context.counter("opened"),
        opened_at: Instant::now(),
        outages: Repeats::default(),
        began: Instant::now(),
        parts,
        sink,
        framing,
        inbox,
        rejected,
        drain,
        trouble,
    };
    match work.run().await {
        Ok(()) => Outcome::Finished,
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

struct Work {
    parts: SenderParts,
    sink: Box<dyn DynSink>,
    framing: Box<dyn DynFraming>,
    inbox: Rc<Inbox>,
    rejected: Rc<Outlet>,
    drain: Rc<Drain>,
    trouble: Rc<RefCell<Trouble>>,
    backoff: Backoff,
    retries: Counter,
    opened: Counter,
    opened_at: Instant,
    outages: Repeats<()>,
    began: Instant,
}

/// The delivery under way, and its trace.
type Under<'a> = (&'a Delivery, Option<TraceContext>);

enum Next {
    Batch(crate::mailbox::Held),
    Finished,
    PeerGone(Error),
}

impl Work {
    async fn run(&mut self) -> Result<()> {
        if !self.open().await? {
            return self.give_back().await;
        }
        let mut turn = 0;
        loop {
            let mut held = match self.next().await {
                Next::Batch(held) => held,
                Next::Finished => break,
                Next::PeerGone(error) => {
                    if self.reopen(error, None).await? {
                        continue;
                    }
                    return self.give_back().await;
                }
            };
            held.show(State::Sending {
                attempts: 0,
                error: None,
            });
            let Some(batch) = held.take() else { continue };
            turn += batch.cost();
            if batch.receipt.is_stale() {
                self.parts.context.meters.dropped.add(batch.len() as u64);
            } else if !self.deliver(batch).await? {
                drop(held);
                return self.give_back().await;
            }
            drop(held);
            if turn >= TURN_BYTES {
                turn = 0;
                tokio::task::yield_now().await;
            }
        }
        if let Err(error) = self.sink.close().await {
            tracing::warn!(actor = %self.parts.context.actor, "the end was not clean: {error}");
        }
        Ok(())
    }

    /// The wait for the destination was given up: takes what is still on its way and gives it back to the store, so that the actors in
    /// between come to their end too.
    async fn give_back(&mut self) -> Result<()> {
        self.inbox.open();
        while let Some(mut held) = self.inbox.next().await {
            if let Some(batch) = held.take() {
                self.parts.context.meters.dropped.add(batch.len() as u64);
            }
        }
        Ok(())
    }

    async fn next(&mut self) -> Next {
        if let Some(held) = self.inbox.try_next() {
            return Next::Batch(held);
        }
        tokio::select! {
            biased;
            next = self.inbox.next() => next.map_or(Next::Finished, Next::Batch),
            error = self.sink.watch() => Next::PeerGone(error),
        }
    }

    /// Opens the sink, however long it takes, and lets demand flow. False: the pipeline ends before anybody was there.
    async fn open(&mut self) -> Result<bool> {
        loop {
            let opened = tokio::select! {
                opened = self.sink.open() => opened,
                () = gives_up(&self.drain, &self.parts) => return Ok(false),
            };
            match opened {
                Ok(()) => {
                    self.opened.add(1);
                    self.opened_at = Instant::now();
                    self.parts.tracer.connected();
                    self.inbox.open();
                    return Ok(true);
                }
                Err(error) if error.reaction() == Reaction::Retry => {
                    self.say_unavailable(&error, None);
                    let wait = self.backoff.next(fastrand::f64());
                    self.retries.add(1);
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = gives_up(&self.drain, &self.parts) => return Ok(false),
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn reopen(&mut self, error: Error, delivery: Option<Under<'_>>) -> Result<bool> {
        self.inbox.close();
        self.parts.context.counter("disconnects").add(1);
        // What stood for so long was back, even if nothing was there to deliver.
        if self.opened_at.elapsed() >= self.parts.retry.max.0 {
            self.backoff.reset();
        }
        self.say_unavailable(&error, delivery);
        let first = self.backoff.attempts() == 0;
        let wait = self.backoff.next(fastrand::f64());
        // The first attempt follows at once. A destination that opens and then takes nothing, such as a full disk, is not tried without pause.
        if !first {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = gives_up(&self.drain, &self.parts) => return Ok(false),
            }
        }
        self.open().await
    }

    /// Said once per outage, at its beginning; with the frame to resume at, when one is under way. Of outages in a row only whenever their
    /// number doubles.
    fn say_unavailable(&mut self, error: &Error, delivery: Option<Under<'_>>) {
        let actor = &self.parts.context.actor;
        *self.trouble.borrow_mut() = Trouble {
            attempts: self.backoff.attempts() + 1,
            error: Some(error.to_string()),
        };
        self.parts.context.say("state", format!("unavailable: {error}"));
        if self.backoff.attempts() > 0 {
            return;
        }
        let heard = self.outages.note(self.began.elapsed().as_millis() as u64, ());
        if !heard.aloud() {
            return;
        }
        let numbers = delivery.map(|(delivery, _)| (&delivery.batch().numbers, delivery.failed_frame()));
        let source = numbers.map(|(numbers, _)| tracing::field::display(&numbers.source));
        let seq = numbers.and_then(|(numbers, failed)| numbers.get(failed));
        let trace_id = delivery.and_then(|(_, trace)| trace).map(TraceContext::id);
        match &self.parts.store {
            Some(store) => {
                tracing::warn!(%actor, source, seq, trace_id, "{error}; frames are safe: they wait in the spill store `{store}` until it is back{heard}")
            }
            None => {
                tracing::warn!(%actor, source, seq, trace_id, "{error}; no spill store stands upstream, so reading stops until it is back{heard}")
            }
        }
    }

    /// Writes a batch through all reconnects. False: the pipeline ends first; the batch counts as dropped.
    async fn deliver(&mut self, mut batch: Batch) -> Result<bool> {
        let mut span = self.parts.tracer.send(&mut batch);
        let (frames, bytes) = (batch.len() as u64, frame_bytes(&batch));
        self.parts.context.meters.frames_in.add(frames);
        self.parts.context.meters.bytes_in.add(bytes);
        let (mut delivery, refused) = self.encode(batch);
        let mut refused_frames = refused.len() as u64;
        for (index, error) in refused {
            span.rejected(&self.parts.tracer, delivery.batch(), index, &error.to_string());
            self.reject(delivery.batch(), &span, index, &error).await;
        }
        while !delivery.is_done() {
            let before = delivery.wire().len();
            let Err(error) = self.sink.write(&mut delivery).await else {
                // A frame without wire bytes, such as one its framing refused, leaves a sink nothing to advance by.
                delivery.advance(0);
                if delivery.is_done() || delivery.wire().len() < before {
                    continue;
                }
                return Err(Error::fatal(
                    "the sink's `write` returned without writing anything; it must go on until nothing is left",
                ));
            };
            match error.reaction() {
                Reaction::Retry => {
                    delivery.rewind();
                    let before = self.retries.get();
                    span.retried(&self.parts.tracer, delivery.batch(), &error);
                    let trace = span.trace(delivery.batch());
                    let reopened = self.reopen(error, Some((&delivery, trace))).await?;
                    let more = self.retries.get() - before;
                    span.tried(&self.parts.tracer, delivery.batch(), more);
                    if !reopened {
                        span.failed("dropped", "the pipeline ended before the destination was back");
                        self.parts.context.meters.dropped.add(frames);
                        let batch = delivery.batch();
                        tracing::info!(actor = %self.parts.context.actor, source = %batch.numbers.source, seq = batch.numbers.get(delivery.failed_frame()), trace_id = span.trace(batch).map(TraceContext::id), "the batch in hand goes back to the store: the pipeline ended before the destination was back");
                        return Ok(false);
                    }
                }
                Reaction::Reject => {
                    let failed = delivery.failed_frame();
                    span.rejected(&self.parts.tracer, delivery.batch(), failed, &error.to_string());
                    self.reject(delivery.batch(), &span, failed, &error).await;
                    refused_frames += 1;
                    delivery.skip_frame();
                }
                Reaction::Stop => {
                    span.failed("fatal", &error.to_string());
                    return Err(error);
                }
            }
        }
        self.parts
            .context
            .meters
            .frames_out
            .add(frames - refused_frames.min(frames));
        self.parts.context.meters.bytes_out.add(bytes);
        self.backoff.reset();
        if self.trouble.borrow().attempts > 0 {
            self.trouble.take();
        }
        let fate = if refused_frames > 0 && !self.rejected.is_connected() {
            Fate::Rejected
        } else {
            Fate::Delivered
        };
        delivery.into_batch().receipt.settle(fate);
        drop(span);
        Ok(true)
    }

    /// The batch in the sink's framing. A payload that is in it already is written as it is; a frame that does not fit the framing is left out.
    fn encode(&self, batch: Batch) -> (Delivery, Vec<(usize, Error)>) {
        if is_wire_form(&*self.framing, &batch) {
            let (wire, ends) = (batch.payload.clone(), batch.ends.clone());
            return (Delivery::new(batch, wire, ends), Vec::new());
        }
        let (mut wire, mut ends) = (Vec::new(), Vec::with_capacity(batch.len()));
        let (mut refused, mut from) = (Vec::new(), 0);
        while let Err((index, error)) = encode_batch(&*self.framing, &batch, from..batch.len(), &mut wire, &mut ends) {
            // It takes no bytes on the wire, so that the frames behind it keep their places.
            ends.push(wire.len() as u32);
            refused.push((index, error));
            from = index + 1;
        }
        (Delivery::new(batch, wire.into(), Arc::new(ends)), refused)
    }

    async fn reject(&self, batch: &Batch, span: &WorkSpan, index: usize, error: &Error) {
        let meters = &self.parts.context.meters;
        let trace = span.trace(batch).or_else(|| batch.frame(index).message_trace());
        meters.rejected.add(1);
        if meters.rejected.get().is_power_of_two() {
            tracing::warn!(actor = %self.parts.context.actor, total = meters.rejected.get(), source = %batch.numbers.source, seq = batch.numbers.get(index), trace_id = trace.map(TraceContext::id), "a frame was rejected: {error}");
        }
        if !self.rejected.is_connected() {
            return;
        }
        let mut builder = BatchBuilder::with_layout(&batch.numbers, batch.layout.clone());
        builder.batch_attributes(batch.attributes.batch_only());
        builder.push_range(batch, index, index + 1);
        let reason = error.to_string();
        let rejection = Rejection::now(&self.parts.context.actor, &reason, trace);
        let about = rejection.attributes().map(|(key, value)| FrameAttribute {
            frame: 0,
            key: key.to_owned(),
            value,
        });
        let mut letter = builder.finish(batch.received_ns, trace, batch.receipt.child());
        // Over those of an earlier rejection.
        letter.attributes.merge_frames(about.collect());
        self.rejected.permit().await;
        self.rejected.send(letter);
    }
}

/// Resolves when waiting for the destination is pointless: the pipeline ends, and a store keeps what is left. Without a
/// store the wait goes on until the shutdown deadline, because what is left would be lost.
async fn gives_up(drain: &Drain, parts: &SenderParts) {
    if parts.store.is_some() {
        drain.wanted().await;
    } else {
        std::future::pending().await
    }
}
