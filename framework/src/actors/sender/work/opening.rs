//! Opens the sink, the first time and again after every failure.

use std::time::Instant;

use super::super::outgoing::Outgoing;
use super::super::{Drain, SenderParts, StoreAbove, Trouble};
use super::Work;
use crate::config::Persist;
use crate::error::{Error, Reaction, Result};
use crate::failure::Failure;
use crate::mailbox::Inbox;
use crate::telemetry::TraceContext;

impl Work {
    /// Opens the sink again, after what went wrong. False: the pipeline ends first.
    pub(super) async fn come_back(&mut self, error: Error) -> Result<bool> {
        for outgoing in &mut self.again {
            outgoing
                .span
                .retried(&self.parts.tracer, outgoing.delivery.batch(), &error);
        }
        let before = self.retries.get();
        let reopened = self.reopen(error).await?;
        let more = self.retries.get() - before;
        for outgoing in &mut self.again {
            outgoing.span.tried(&self.parts.tracer, outgoing.delivery.batch(), more);
        }
        Ok(reopened)
    }

    /// Opens the sink, however long it takes, and lets demand flow. False: the pipeline ends before anybody was there.
    pub(super) async fn open(&mut self) -> Result<bool> {
        loop {
            let began = Instant::now();
            let opened = tokio::select! {
                opened = self.sink.open() => opened,
                () = gives_up(&self.drain, &self.parts, &self.inbox, !self.again.is_empty()) => return Ok(false),
            };
            match opened {
                Ok(()) => {
                    self.opened.add(1);
                    self.opened_at = Instant::now();
                    // A server waits in it for its client.
                    self.backoff.waited(self.opened_at - began);
                    self.parts.tracer.connected();
                    self.inbox.open();
                    return Ok(true);
                }
                Err(error) if error.reaction() == Reaction::Retry => {
                    self.say_unavailable(&error);
                    self.retries.add(1);
                    self.again.iter_mut().for_each(|outgoing| outgoing.refused_bytes = 0);
                    let wait = self.failed(&error).await;
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = gives_up(&self.drain, &self.parts, &self.inbox, !self.again.is_empty()) => return Ok(false),
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// What was in hand when the connection broke off has come further than at the failure before, or there was nothing: then that series is over.
    fn note_progress(&mut self) {
        let mut unsettled = self.again.iter_mut().filter(|outgoing| outgoing.unsettled_frames() > 0);
        match unsettled.next().map(Outgoing::failed) {
            Some(true) => self.backoff.reset(),
            Some(false) => {}
            None => self.note_standing(),
        }
    }

    /// What stood for so long was back, even if nothing was there to deliver.
    pub(super) fn note_standing(&mut self) {
        let fails = self.backoff.is_failing() && !self.is_waiting();
        if fails && self.opened.get() > 0 && self.opened_at.elapsed() >= self.parts.retry.max.0 {
            self.backoff.reset();
        }
    }

    async fn reopen(&mut self, error: Error) -> Result<bool> {
        self.inbox.close();
        self.parts.context.counter("disconnects").add(1);
        if error.is_renewal() {
            return self.open().await;
        }
        self.note_progress();
        self.say_unavailable(&error);
        let first = self.backoff.attempts() == 0;
        let wait = self.failed(&error).await;
        // The first attempt follows at once, and so does waiting for the next client. A destination that opens and then takes nothing, such as a full disk, is not tried without pause.
        if !first && !wait.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = gives_up(&self.drain, &self.parts, &self.inbox, !self.again.is_empty()) => return Ok(false),
            }
        }
        self.open().await
    }

    /// Said once per outage, at its beginning, and when its reason becomes another; with the frame to resume at, when one is under way. Of those with
    /// the same reason in a row only whenever their number doubles.
    fn say_unavailable(&mut self, error: &Error) {
        let actor = &self.parts.context.actor;
        *self.trouble.borrow_mut() = Trouble {
            attempts: self.backoff.attempts() + 1,
            error: Some(error.to_string()),
        };
        self.parts.context.say("state", format!("unavailable: {error}"));
        let failure = error.failure();
        if self.backoff.attempts() > 0 && !is_news(self.said, failure) {
            return;
        }
        self.said = Some(failure);
        let heard = self.outages.note(self.began.elapsed().as_millis() as u64, failure);
        if !heard.aloud() {
            return;
        }
        if error.is_departure() && failure == Failure::PeerClosed {
            tracing::info!(%actor, "{error}{heard}");
            return;
        }
        let resumed = self.again.front();
        let numbers = resumed.map(|outgoing| (&outgoing.delivery.batch().numbers, outgoing.delivery.failed_frame()));
        let source = numbers.map(|(numbers, _)| tracing::field::display(&numbers.source));
        let seq = numbers.and_then(|(numbers, failed)| numbers.get(failed));
        let trace = resumed.and_then(|outgoing| outgoing.span.trace(outgoing.delivery.batch()));
        let trace_id = trace.map(TraceContext::id);
        let lost = self
            .may_be_lost
            .take()
            .map_or_else(String::new, |lost| format!("; {lost}"));
        let again: u64 = self.again.iter().map(Outgoing::unsettled_frames).sum();
        let again = match again {
            0 => String::new(),
            frames => format!("; {frames} frames in hand are written when it is back"),
        };
        let rest = what_waits(self.parts.store.as_ref());
        tracing::warn!(%actor, source, seq, trace_id, "{error}{lost}{again}; {rest}{heard}");
    }
}

/// What becomes of the frames that come while the destination is away.
fn what_waits(store: Option<&StoreAbove>) -> String {
    match store {
        Some(StoreAbove { name, persist, .. }) => {
            let place = match persist {
                Persist::Always => "on disk",
                Persist::Overflow => "in memory, and on disk what does not fit there or is older than `memory_age`",
            };
            format!("what comes meanwhile waits in the spill store `{name}`, {place}")
        }
        None => "no spill store stands upstream, so reading stops until it is back".to_owned(),
    }
}

/// Whether an outage has another reason now than the one that was said. That nobody can be reached after a connection has ended is none: so outages go.
fn is_news(said: Option<Failure>, now: Failure) -> bool {
    said.is_none_or(|said| now != said && (!is_absence(now) || is_absence(said)))
}

fn is_absence(failure: Failure) -> bool {
    matches!(
        failure,
        Failure::Refused | Failure::TimedOut | Failure::Unreachable | Failure::NameNotResolved
    )
}

/// Resolves when waiting for the destination is pointless: the pipeline ends, and a store keeps what is left. Without a
/// store the wait goes on until the shutdown deadline, because what is left would be lost; unless nothing is in hand, and nothing comes any more.
async fn gives_up(drain: &Drain, parts: &SenderParts, inbox: &Inbox, in_hand: bool) {
    if parts.store.is_some() {
        drain.wanted().await;
    } else if in_hand {
        std::future::pending().await
    } else {
        inbox.finished().await;
    }
}
