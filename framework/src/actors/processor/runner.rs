//! Runs one plugin instance on one batch: rollback, retries, dead letters, panics.

use std::panic::AssertUnwindSafe;
use tokio::time::Instant;

use futures_util::FutureExt;

use super::held::HeldBatches;
use crate::actors::{build, panic_text};
use crate::backoff::Backoff;
use crate::batch::Batch;
use crate::config::{RetryConfig, SEVERAL_HOLD, be_alone};
use crate::error::{Error, Reaction, Result};
use crate::plugin::rejection::Rejection;
use crate::plugin::{Blueprint, Context, DynProcessor, Emitted, Frames, Output};
use crate::receipt::{Fate, Receipt};
use crate::telemetry::{Counter, Gauge, TraceContext, Tracer, WorkSpan, uptime_ns};

/// Panics of one batch and its neighbours that are borne before the pipeline fails, counted anew after a batch without one.
const PANICS_IN_A_ROW: u32 = 1_000;

/// A plugin instance and what is needed to build it anew.
pub(crate) struct Runner {
    pub(super) plan: Blueprint<dyn DynProcessor>,
    pub(super) context: Context,
    pub(super) plugin: Box<dyn DynProcessor>,
    pub(super) output: Output,
    pub(super) tracer: Tracer,
    /// Around the batch in hand.
    pub(super) span: WorkSpan,
    pub(super) backoff: Backoff,
    panics_in_a_row: u32,
    panics: Counter,
    pub(super) retries: Counter,
    /// When the batch in hand was begun, 0 while idle: the watchdog reads it.
    pub(super) busy_since_ns: Gauge,
    pub(super) ticked: Instant,
    pub(super) held: HeldBatches,
    /// How many frames of the batch run last are held back.
    pub(super) held_last: usize,
    /// Dead letters of frames that a panic took along, not handed over yet.
    pub(super) lost: Emitted,
}

impl Runner {
    /// Builds the plugin, on the thread it will run on. `window_bytes` bounds what it may hold back.
    ///
    /// # Errors
    /// What its `new` returns.
    pub(crate) fn new(
        plan: &Blueprint<dyn DynProcessor>,
        context: &Context,
        tracer: &Tracer,
        window_bytes: usize,
    ) -> Result<Self> {
        let context = context.clone();
        let plugin = build(plan, &context)?;
        let held = HeldBatches::new(plugin.holds(), window_bytes / 2);
        Ok(Self {
            plugin,
            output: Output::new(plan.about.outputs).holding(held.may_hold()),
            held,
            held_last: 0,
            lost: Vec::new(),
            plan: plan.clone(),
            tracer: tracer.clone(),
            span: WorkSpan::default(),
            backoff: Backoff::new(RetryConfig::default()),
            panics_in_a_row: 0,
            panics: context.counter("panics"),
            retries: context.counter("retries"),
            busy_since_ns: context.gauge("busy_since_ns"),
            ticked: Instant::now(),
            context,
        })
    }

    /// The same, seen by the watchdog as one of several.
    pub(crate) fn of_worker(mut self, worker: usize) -> Self {
        self.busy_since_ns = self.context.gauge(&format!("worker_{worker}_busy_since_ns"));
        self
    }

    /// Itself, unless it is one of several and must see all frames, for the reason that its plugin gives or because it holds frames back.
    ///
    /// # Errors
    /// What to change: each of several instances would see a part of the frames only.
    pub(crate) fn alone_if_it_must(self, workers: usize, given: Option<&str>) -> Result<Self> {
        let why = given.or_else(|| self.held.may_hold().then_some(SEVERAL_HOLD));
        match why {
            Some(why) if workers > 1 => Err(Error::fatal(be_alone(why))),
            _ => Ok(self),
        }
    }

    /// Runs a batch to its end. What it emits carries children of the batch's receipt; its own part is settled.
    ///
    /// # Errors
    /// When the plugin cannot go on: the batch counts as dropped, with all that it emitted.
    pub(crate) async fn run(&mut self, batch: Batch) -> Result<Emitted> {
        let mut hand = self.begin(batch)?;
        let mut emitted = Vec::new();
        while !hand.is_done() {
            emitted.extend(self.portion(&mut hand).await?.emitted);
        }
        Ok(emitted)
    }

    /// Takes a batch in hand: [`Runner::portion`] works on it until it is done.
    ///
    /// # Errors
    /// When what the plugin held is to come again, and the plugin cannot be built anew.
    pub(crate) fn begin(&mut self, mut batch: Batch) -> Result<InHand> {
        self.forget_stale()?;
        self.span = self.tracer.process(&mut batch);
        Ok(InHand {
            batch: Some(batch),
            at: 0,
        })
    }

    /// Works on the next frames of a batch, as many as the plugin takes at once: usually all of them.
    ///
    /// # Errors
    /// When the plugin cannot go on: the batch counts as dropped, with all that was emitted for it.
    pub(crate) async fn portion(&mut self, hand: &mut InHand) -> Result<Portion> {
        self.held_last = 0;
        let Some(mut batch) = hand.batch.take() else {
            return Ok(Portion::default());
        };
        if hand.at > 0 && batch.receipt.is_stale() {
            // The store sends the whole batch again.
            self.context.meters.dropped.add((batch.len() - hand.at) as u64);
            self.span = WorkSpan::default();
            return Ok(Portion::default());
        }
        let (from, to) = (hand.at, self.portion_end(&batch, hand.at));
        self.busy_since_ns.set(uptime_ns());
        let outcome = self.frames(&batch, from, to).await;
        self.busy_since_ns.set(0);
        if let Err(error) = outcome {
            std::mem::take(&mut self.span).failed("fatal", &error.to_string());
            self.output.clear();
            return Err(error);
        }
        // A batch that turned out to be in trouble is traced from here on.
        batch.trace = self.span.trace(&batch);
        let frames = to - from;
        if to < batch.len() {
            let mut emitted = std::mem::take(&mut self.lost);
            emitted.extend(self.output.emit(&batch));
            *hand = InHand {
                batch: Some(batch),
                at: to,
            };
            return Ok(Portion { emitted, frames });
        }
        let mut span = std::mem::take(&mut self.span);
        let emitted = self.emit(batch, &mut span);
        Ok(Portion {
            emitted,
            frames: frames - self.held_last,
        })
    }

    /// Where the portion that begins at `from` ends.
    fn portion_end(&mut self, batch: &Batch, from: usize) -> usize {
        let left = batch.len() - from;
        if self.held.may_hold() || left == 0 {
            return batch.len();
        }
        let frames = Frames::between(batch, from, batch.len());
        // A panic here says nothing about any frame: the call for the frames will meet it again.
        let asked = std::panic::catch_unwind(AssertUnwindSafe(|| self.plugin.portion(&frames)));
        from + asked.unwrap_or(left).clamp(1, left)
    }

    /// What the batch in hand became, behind what a panic left over. Its receipt is settled, unless some of its frames are held.
    fn emit(&mut self, mut batch: Batch, span: &mut WorkSpan) -> Emitted {
        let mut emitted = std::mem::take(&mut self.lost);
        let (released, kept) = self.output.held().take();
        if released {
            span.joined(self.held.traces());
            let own = batch.receipt.child();
            let joint = Receipt::joint(self.held.take_receipts().into_iter().chain([own]));
            let own = std::mem::replace(&mut batch.receipt, joint);
            emitted.extend(self.output.emit(&batch));
            std::mem::replace(&mut batch.receipt, own).settle(Fate::Delivered);
        } else {
            emitted.extend(self.output.emit(&batch));
        }
        self.held_last = kept.len();
        if kept.is_empty() {
            batch.receipt.settle(Fate::Delivered);
        } else {
            self.held.push(batch, kept, Instant::now());
        }
        emitted
    }

    async fn frames(&mut self, batch: &Batch, from: usize, to: usize) -> Result<()> {
        match self.stretch(batch, from, to).await? {
            Stretch::Done => {
                self.panics_in_a_row = 0;
                return Ok(());
            }
            Stretch::Panicked { text } => {
                self.output.roll_back(from);
                self.lose_held(
                    Some(batch),
                    &format!("the plugin panicked while it held this frame: {text}"),
                );
            }
        }
        // A panic may have come from any frame the plugin had looked at: one at a time finds the culprit.
        for index in from..to {
            if let Stretch::Panicked { text } = self.stretch(batch, index, index + 1).await? {
                let reason = format!("the plugin panicked: {text}");
                self.span.rejected(&self.tracer, batch, index, &reason);
                self.output.roll_back(index);
                self.lose_held(Some(batch), &reason);
                self.reject(batch, index, &reason);
            }
        }
        Ok(())
    }

    /// Runs the frames `from .. to`, resuming behind rejected frames and at unavailable ones.
    async fn stretch(&mut self, batch: &Batch, mut from: usize, to: usize) -> Result<Stretch> {
        while from < to {
            let mut frames = Frames::between(batch, from, to);
            // The call stands inside too: a `batch` that is no `async fn` may panic before it returns its future.
            let call = async { self.plugin.batch(&mut frames, &mut self.output).await };
            let ended = AssertUnwindSafe(call).catch_unwind().await;
            let (failed, left) = (frames.current(), frames.left());
            let error = match ended {
                Err(panic) => {
                    let text = panic_text(&*panic);
                    self.rebuild(&text)?;
                    return Ok(Stretch::Panicked { text });
                }
                Ok(returned) => match (self.output.take_misuse(), returned) {
                    (Some(misuse), _) => misuse,
                    (None, Err(error)) => error,
                    (None, Ok(())) if left > 0 => not_taken(left),
                    (None, Ok(())) => break,
                },
            };
            self.output.roll_back(failed);
            if failed > from {
                self.backoff.reset();
            }
            from = self.react(error, batch, failed).await?;
        }
        self.backoff.reset();
        Ok(Stretch::Done)
    }

    async fn react(&mut self, error: Error, batch: &Batch, failed: usize) -> Result<usize> {
        match error.reaction() {
            Reaction::Retry => {
                self.retries.add(1);
                self.span.retried(&self.tracer, batch, &error);
                let wait = self.backoff.next(fastrand::f64());
                if self.backoff.attempts() == 1 {
                    tracing::warn!(actor = %self.context.actor, source = %batch.numbers.source, seq = batch.numbers.get(failed), trace_id = self.span.trace(batch).map(TraceContext::id), "{error}; trying the same frame again");
                }
                tokio::time::sleep(wait).await;
                Ok(failed)
            }
            Reaction::Reject => {
                let reason = error.to_string();
                self.span.rejected(&self.tracer, batch, failed, &reason);
                self.reject(batch, failed, &reason);
                Ok(failed + 1)
            }
            Reaction::Stop => Err(error),
        }
    }

    pub(super) fn reject(&mut self, batch: &Batch, index: usize, reason: &str) {
        let trace = self.span.trace(batch).or_else(|| batch.frame(index).message_trace());
        let rejection = Rejection::now(&self.context.actor, reason, trace);
        self.output.reject(index, &rejection);
    }

    pub(super) fn rebuild(&mut self, text: &str) -> Result<()> {
        self.panics.add(1);
        self.panics_in_a_row += 1;
        if self.panics_in_a_row > PANICS_IN_A_ROW {
            return Err(Error::fatal(format!(
                "the plugin panicked {PANICS_IN_A_ROW} times in a row, the last time with: {text}"
            )));
        }
        self.renew()
    }

    /// Builds the plugin anew; its state is lost.
    pub(super) fn renew(&mut self) -> Result<()> {
        self.plugin = build(&self.plan, &self.context)?;
        Ok(())
    }
}

/// A batch that a runner works on, portion by portion.
pub(crate) struct InHand {
    batch: Option<Batch>,
    /// The first frame that is still to be worked on.
    at: usize,
}

impl InHand {
    /// True when nothing is left of it.
    pub(crate) fn is_done(&self) -> bool {
        self.batch.is_none()
    }
}

/// What was made of some frames of a batch.
#[derive(Default)]
pub(crate) struct Portion {
    pub(crate) emitted: Emitted,
    /// How many frames those were, without what is held back.
    pub(crate) frames: usize,
}

enum Stretch {
    Done,
    Panicked { text: String },
}

fn not_taken(left: usize) -> Error {
    Error::fatal(format!(
        "the plugin ended a batch with {left} frames not taken; take every frame, and emit nothing for those to be filtered out"
    ))
}
