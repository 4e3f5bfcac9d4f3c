//! What a runner does between batches: `tick`, and what becomes of frames held back when their instance ends.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use tokio::time::Instant;

use super::runner::Runner;
use crate::actors::panic_text;
use crate::batch::Batch;
use crate::error::{Error, Reaction, Result};
use crate::plugin::rejection::Rejection;
use crate::plugin::{Emitted, Output};
use crate::receipt::Fate;
use crate::telemetry::uptime_ns;

/// What a runner holds back: always the batches it was given last, but for those of which it held nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Back {
    /// Frames of the batch it was given last.
    pub(crate) last_frames: usize,
    /// Batches.
    pub(crate) batches: usize,
}

enum Ticked {
    Done,
    Again,
    /// What was held became dead letters.
    Lost,
}

impl Runner {
    /// What it holds back now, for whoever gives the demand back.
    pub(crate) fn back(&self) -> Back {
        Back {
            last_frames: self.held_last,
            batches: self.held.len(),
        }
    }

    /// When [`Runner::between`] has something to do again, if no batch comes before.
    pub(crate) fn wake_in(&self) -> Option<Duration> {
        let now = Instant::now();
        let tick = self
            .plugin
            .tick_every()
            .map(|period| (self.ticked + period).saturating_duration_since(now));
        match (tick, self.held.look_in(now)) {
            (Some(tick), Some(look)) => Some(tick.min(look)),
            (tick, look) => tick.or(look),
        }
    }

    /// Lets the plugin do what it does between batches, when it is time.
    ///
    /// # Errors
    /// When the plugin cannot go on.
    pub(crate) async fn between(&mut self) -> Result<Emitted> {
        self.forget_stale()?;
        let now = Instant::now();
        let ticks = self
            .plugin
            .tick_every()
            .is_some_and(|period| now >= self.ticked + period);
        if ticks || self.held.is_due(now) {
            self.tick().await
        } else {
            Ok(Vec::new())
        }
    }

    /// Lets the plugin do what it does between batches, now. Nothing is held back afterwards.
    ///
    /// # Errors
    /// When the plugin cannot go on: what it held counts as dropped.
    pub(crate) async fn tick(&mut self) -> Result<Emitted> {
        self.forget_stale()?;
        self.ticked = Instant::now();
        self.busy_since_ns.set(uptime_ns());
        let ticked = loop {
            match self.try_tick().await {
                Ok(Ticked::Again) => {}
                ended => break ended,
            }
        };
        self.busy_since_ns.set(0);
        self.backoff.reset();
        if let Ticked::Lost = ticked? {
            return Ok(std::mem::take(&mut self.lost));
        }
        let traces: Vec<_> = self.held.traces().collect();
        let Some(mut joint) = self.held.take_joint() else {
            return Ok(Vec::new());
        };
        let own = joint.trace;
        let mut span = self.tracer.process(&mut joint);
        span.joined(traces.into_iter().filter(|trace| Some(*trace) != own));
        let emitted = self.output.emit(&joint);
        joint.receipt.settle(Fate::Delivered);
        drop(span);
        Ok(emitted)
    }

    async fn try_tick(&mut self) -> Result<Ticked> {
        self.output.begin(self.held.last_frame().unwrap_or(0));
        let ended = std::panic::catch_unwind(AssertUnwindSafe(|| self.plugin.tick(&mut self.output)));
        let error = match ended {
            Err(panic) => {
                let text = panic_text(&*panic);
                self.output.clear();
                self.rebuild(&text)?;
                self.lose_held(None, &format!("the plugin panicked in `tick`: {text}"));
                return Ok(Ticked::Lost);
            }
            Ok(returned) => match (self.output.take_misuse(), returned) {
                (Some(misuse), _) => misuse,
                (None, Err(error)) => error,
                (None, Ok(())) if self.held.len() == 0 && !self.output.emitted_nothing() => Error::fatal(
                    "`tick` emitted something, but the plugin holds no frame back: only what was made of held frames can be emitted there",
                ),
                (None, Ok(())) => {
                    self.output.held().take();
                    return Ok(Ticked::Done);
                }
            },
        };
        self.output.clear();
        match error.reaction() {
            Reaction::Retry => {
                self.retries.add(1);
                let wait = self.backoff.next(fastrand::f64());
                if self.backoff.attempts() == 1 {
                    tracing::warn!(actor = %self.context.actor, "{error}; trying what was held back again");
                }
                tokio::time::sleep(wait).await;
                Ok(Ticked::Again)
            }
            Reaction::Reject => {
                self.lose_held(None, &error.to_string());
                Ok(Ticked::Lost)
            }
            Reaction::Stop => Err(error),
        }
    }

    /// The instance that held frames back is gone, or gave them up: they become dead letters, so that none is lost in silence.
    pub(super) fn lose_held(&mut self, in_hand: Option<&Batch>, reason: &str) {
        // What an earlier frame of the batch in hand let go of has been emitted by it.
        if !self.output.held().has_released() {
            for held in self.held.take() {
                let mut letters = Output::new(self.plan.about.outputs);
                for index in held.frames {
                    let trace = held
                        .batch
                        .trace
                        .or_else(|| held.batch.frame(index as usize).message_trace());
                    letters.reject(index as usize, &Rejection::now(&self.context.actor, reason, trace));
                }
                self.lost.extend(letters.emit(&held.batch));
                held.batch.receipt.settle(Fate::Delivered);
            }
        }
        let kept = self.output.held().take_kept();
        for (batch, index) in in_hand
            .into_iter()
            .flat_map(|batch| kept.iter().map(move |index| (batch, *index)))
        {
            self.reject(batch, index as usize, reason);
        }
    }

    /// What is held was dropped downstream, or stands behind what was: all of it comes again, so an instance that does not know it begins anew.
    pub(super) fn forget_stale(&mut self) -> Result<()> {
        if !self.held.is_stale() {
            return Ok(());
        }
        for held in self.held.take() {
            self.context.meters.dropped.add(held.batch.len() as u64);
        }
        self.context.counter("begun_anew").add(1);
        self.renew()
    }
}
