//! The sender's task: open, take a batch, write it, settle it, at once or when it is acknowledged; again from `open` when the other side is gone.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::outgoing::{Out, Outgoing};
use super::unacknowledged::Unacknowledged;
use super::{Drain, SenderParts, Trouble};
use crate::actors::{Outcome, build};
use crate::backoff::Backoff;
use crate::batch::{Batch, BatchBuilder, FrameAttribute};
use crate::error::{Error, Reaction, Result};
use crate::failure::Failure;
use crate::find::State;
use crate::flight::Repeats;
use crate::framing::DynFraming;
use crate::mailbox::{Held, Inbox, Outlet};
use crate::plugin::rejection::Rejection;
use crate::plugin::{Acknowledgement, Delivery, DynSink, MayBeLost, StoreUse, Unconfirmed, frame_bytes};
use crate::telemetry::{Counter, Gauge, TraceContext, WorkSpan};

mod acknowledging;
mod confirming;
mod giving_up;
mod opening;

/// Bytes written before other actors of the thread get a turn.
const TURN_BYTES: usize = 1024 * 1024;

/// The first pause between two looks at what was acknowledged; it doubles up to the longest while nothing is.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

pub(super) async fn work(
    parts: SenderParts,
    inbox: Rc<Inbox>,
    rejected: Rc<Outlet>,
    drain: Rc<Drain>,
    trouble: Rc<RefCell<Trouble>>,
) -> Outcome {
    let context = parts.context.clone().with_framing(parts.framing.clone());
    let built = build(&parts.sink, &context).and_then(|sink| Ok((sink, parts.framing.build()?)));
    let (sink, framing) = match built {
        Ok(built) => built,
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    let acknowledgement = sink.acknowledgement();
    let resend_bytes = match acknowledgement {
        Acknowledgement::Written => None,
        Acknowledgement::Later { resend_bytes } => Some(resend_bytes),
        Acknowledgement::Confirmed { .. } => Some(0),
    };
    let unacknowledged_bytes = resend_bytes.map(|_| {
        parts.context.counter("frames_resent");
        parts.context.gauge("unacknowledged_bytes")
    });
    let mut work = Work {
        backoff: Backoff::new(parts.retry.clone()),
        retries: parts.context.counter("retries"),
        opened: parts.context.counter("opened"),
        opened_at: Instant::now(),
        outages: Repeats::default(),
        said: None,
        began: Instant::now(),
        again: VecDeque::new(),
        unacknowledged: resend_bytes.map(Unacknowledged::new),
        unacknowledged_bytes: unacknowledged_bytes.unwrap_or_default(),
        limits: confirming::Limits::new(acknowledgement, parts.store.as_ref()),
        unconfirmed: Unconfirmed::default(),
        may_be_lost: None,
        signal: sink.acknowledged_signal(),
        takes_batches: sink.store_use() == StoreUse::Positions,
        turn_bytes: 0,
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
    /// By reason.
    outages: Repeats<Failure>,
    /// The reason of the outage that the log told of last.
    said: Option<Failure>,
    began: Instant,
    /// To be written before anything new.
    again: VecDeque<Outgoing>,
    /// What was written; none when that is all a batch needs to be settled.
    unacknowledged: Option<Unacknowledged<Outgoing>>,
    unacknowledged_bytes: Gauge,
    /// What may wait to be confirmed; none where the sink does not confirm.
    limits: Option<confirming::Limits>,
    unconfirmed: Unconfirmed,
    /// What the connection that ended last may have cost, until it is told.
    may_be_lost: Option<MayBeLost>,
    /// Rung when more may be acknowledged; none when the sink must be asked.
    signal: Option<Rc<Notify>>,
    /// The sink takes batches as they are, not in a framing.
    takes_batches: bool,
    /// Since other actors of the thread had a turn.
    turn_bytes: usize,
}

enum Next {
    Batch(Held),
    Finished,
    PeerGone(Error),
}

impl Work {
    async fn run(&mut self) -> Result<()> {
        if !self.open().await? {
            return self.give_back().await;
        }
        loop {
            let goes_on = match self.again.pop_front() {
                Some(outgoing) => {
                    self.turn_bytes += outgoing.delivery.batch().cost();
                    self.deliver(outgoing).await?
                }
                None => match self.next().await {
                    Next::Batch(held) => {
                        self.note_standing();
                        match self.begin(held).await {
                            Some(outgoing) => self.deliver(outgoing).await?,
                            None => true,
                        }
                    }
                    Next::PeerGone(error) => {
                        self.take_back(None).await;
                        self.come_back(error).await?
                    }
                    Next::Finished => match self.finish().await {
                        Ok(()) => break,
                        Err(error) => {
                            self.take_back(None).await;
                            self.come_back(error).await?
                        }
                    },
                },
            };
            if !goes_on {
                return self.give_back().await;
            }
            if self.turn_bytes >= TURN_BYTES {
                self.turn_bytes = 0;
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
        self.give_back_in_hand();
        self.inbox.open();
        while let Some(mut held) = self.inbox.next().await {
            if let Some(batch) = held.take() {
                self.parts.context.meters.dropped.add(batch.len() as u64);
            }
        }
        Ok(())
    }

    fn give_back_in_hand(&mut self) {
        let mut said = false;
        for mut outgoing in self.again.drain(..) {
            let frames = outgoing.unsettled_frames();
            if frames == 0 {
                continue;
            }
            outgoing
                .span
                .failed("dropped", "the pipeline ended before the destination was back");
            self.parts.context.meters.dropped.add(frames);
            if !std::mem::replace(&mut said, true) {
                let (delivery, batch) = (&outgoing.delivery, outgoing.delivery.batch());
                tracing::info!(actor = %self.parts.context.actor, source = %batch.numbers.source, seq = batch.numbers.get(delivery.failed_frame()), trace_id = outgoing.span.trace(batch).map(TraceContext::id), "the batch in hand goes back to the store: the pipeline ended before the destination was back");
            }
        }
    }

    async fn next(&mut self) -> Next {
        self.settle_acknowledged().await;
        if let Some(held) = self.inbox.try_next() {
            return Next::Batch(held);
        }
        let mut pause = FIRST_PAUSE;
        let confirms = self.limits.is_some();
        loop {
            let waiting = self.is_waiting();
            tokio::select! {
                biased;
                next = self.inbox.next(), if !(waiting && self.inbox.is_finished()) => match next {
                    Some(held) => return Next::Batch(held),
                    None if waiting && !confirms => {}
                    None => return Next::Finished,
                },
                error = self.sink.watch() => return Next::PeerGone(error),
                () = due(waiting.then_some(pause), self.signal.as_deref()) => {
                    let moved = self.settle_acknowledged().await;
                    pause = if moved { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
                }
            }
        }
    }

    /// Makes ready to write a batch; none when it is stale.
    async fn begin(&mut self, mut held: Held) -> Option<Outgoing> {
        held.show(State::Sending {
            attempts: 0,
            error: None,
        });
        let mut batch = held.take()?;
        self.turn_bytes += batch.cost();
        let meters = &self.parts.context.meters;
        if batch.receipt.is_stale() {
            meters.dropped.add(batch.len() as u64);
            return None;
        }
        let mut span = self.parts.tracer.send(&mut batch);
        meters.frames_in.add(batch.len() as u64);
        meters.bytes_in.add(frame_bytes(&batch));
        let (delivery, refused) = if self.takes_batches {
            (Delivery::counted(batch), Vec::new())
        } else {
            Delivery::encoded(&*self.framing, batch)
        };
        let count = refused.len() as u64;
        for (index, error) in refused {
            span.rejected(&self.parts.tracer, delivery.batch(), index, &error.to_string());
            self.reject(delivery.batch(), &span, index, &error).await;
        }
        let mut outgoing = Outgoing::new(delivery, span, held);
        outgoing.refused(count);
        Some(outgoing)
    }

    /// Writes what is left of a batch. When the other side goes away meanwhile, all that is to be written on the next connection waits in `again`
    /// afterwards. False: the pipeline ends first.
    async fn deliver(&mut self, mut outgoing: Outgoing) -> Result<bool> {
        let from = outgoing.delivery.written_bytes();
        while !outgoing.delivery.is_done() {
            let delivery = &mut outgoing.delivery;
            let before = delivery.wire().len();
            let Err(error) = self.sink.write(delivery).await else {
                // A frame without wire bytes, such as one its framing refused, leaves a sink nothing to advance by.
                delivery.advance(0);
                if delivery.is_done() {
                    continue;
                }
                if delivery.wire().len() < before {
                    self.settle_with(&mut outgoing, from).await;
                    continue;
                }
                return Err(Error::fatal(
                    "the sink's `write` returned without writing anything; it must go on until nothing is left",
                ));
            };
            match error.reaction() {
                Reaction::Retry => {
                    self.take_back(Some((outgoing, from))).await;
                    return self.come_back(error).await;
                }
                Reaction::Reject if self.unacknowledged.is_some() => {
                    return Err(Error::fatal(format!(
                        "the sink rejected a frame ({error}); one that acknowledges later must take every frame"
                    )));
                }
                Reaction::Reject => {
                    let failed = outgoing.delivery.failed_frame();
                    let Outgoing { delivery, span, .. } = &mut outgoing;
                    span.rejected(&self.parts.tracer, delivery.batch(), failed, &error.to_string());
                    self.reject(delivery.batch(), span, failed, &error).await;
                    outgoing.refused(1);
                    outgoing.delivery.skip_frame();
                }
                Reaction::Stop => {
                    outgoing.span.failed("fatal", &error.to_string());
                    return Err(error);
                }
            }
        }
        self.note_written(&outgoing, from);
        let Some(unacknowledged) = &mut self.unacknowledged else {
            self.settle(&mut outgoing);
            return Ok(true);
        };
        outgoing.span = WorkSpan::default();
        if self.limits.is_some() {
            outgoing.release_window();
        }
        let written = from..outgoing.delivery.written_bytes();
        let cost = outgoing.delivery.batch().cost() as u64;
        unacknowledged.push(outgoing, written, cost);
        Ok(true)
    }

    /// The batch counts as delivered.
    fn settle(&mut self, outgoing: &mut Outgoing) {
        self.backoff.reset();
        if self.trouble.borrow().attempts > 0 {
            self.trouble.take();
        }
        self.count_out(outgoing);
    }

    /// Settles a batch that is off our hands.
    fn count_out(&self, outgoing: &mut Outgoing) {
        outgoing.settle(self.rejected.is_connected(), |out| self.count(&out));
    }

    fn count(&self, out: &Out) {
        let meters = &self.parts.context.meters;
        meters.frames_out.add(out.frames);
        meters.bytes_out.add(out.bytes);
        meters.lost.add(out.lost);
    }

    async fn reject(&self, batch: &Batch, span: &WorkSpan, index: usize, error: &Error) {
        let meters = &self.parts.context.meters;
        let trace = span.trace(batch).or_else(|| batch.frame(index).message_trace());
        meters.rejected.add(1);
        if meters.rejected.get().is_power_of_two() {
            let kept = match self.rejected.is_connected() {
                true => "",
                false => " and is lost; `NAME.rejected -> dead_letters` in the flow keeps such frames",
            };
            tracing::warn!(actor = %self.parts.context.actor, total = meters.rejected.get(), source = %batch.numbers.source, seq = batch.numbers.get(index), trace_id = trace.map(TraceContext::id), "a frame was rejected{}: {error}", kept.replace("NAME", &self.parts.context.actor));
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
        let mut receipt = batch.receipt.child();
        // Nothing before this frame hangs on the letter.
        receipt.done_below(batch.numbers.get(index).unwrap_or_default());
        let mut letter = builder.finish(batch.received_ns, trace, receipt);
        // Over those of an earlier rejection.
        letter.merge_attributes(about.collect());
        self.rejected.permit().await;
        self.rejected.send(letter);
    }
}

/// Resolves when it is time to look at what was acknowledged: when the sink rings, or else after the pause. Never without a pause.
async fn due(pause: Option<Duration>, signal: Option<&Notify>) {
    match (pause, signal) {
        (Some(_), Some(signal)) => signal.notified().await,
        (Some(pause), None) => tokio::time::sleep(pause).await,
        (None, _) => std::future::pending().await,
    }
}
