//! A cheap processor on the data thread: no hop, no copy, no wake-up of another core.

use std::rc::Rc;
use std::time::Duration;

use super::ProcessorParts;
use super::outputs::Outputs;
use super::runner::Runner;
use crate::actors::Outcome;
use crate::error::Result;
use crate::find::State;
use crate::mailbox::{Held, Inbox};

/// Bytes handled before other actors of the thread get a turn.
const TURN_BYTES: usize = 1024 * 1024;

pub(super) async fn work(parts: ProcessorParts, inbox: Rc<Inbox>, outputs: Rc<Outputs>) -> Outcome {
    let mut runner = match Runner::new(&parts.plugin, &parts.context, &parts.tracer) {
        Ok(runner) => runner,
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    inbox.open();
    let mut turn = 0;
    loop {
        let next = match runner.tick_every() {
            None => inbox.next().await,
            Some(period) => match next_or_tick(&inbox, &mut runner, period).await {
                Ok(next) => next,
                Err(error) => return Outcome::Failed(error.to_string()),
            },
        };
        let Some(mut held) = next else { return Outcome::Finished };
        if !outputs.may_send() {
            held.show(State::WaitingForDemand);
            outputs.permit().await;
        }
        held.show(State::InHand);
        let Some(batch) = held.take() else { continue };
        if batch.receipt.is_stale() {
            outputs.count_stale(&batch);
            continue;
        }
        outputs.count_in(&batch);
        turn += batch.cost();
        let frames = batch.len();
        match runner.run(batch).await {
            Ok(emitted) => outputs.send(emitted, frames),
            Err(error) => return Outcome::Failed(error.to_string()),
        }
        drop(held);
        if turn >= TURN_BYTES {
            turn = 0;
            tokio::task::yield_now().await;
        }
    }
}

async fn next_or_tick(inbox: &Rc<Inbox>, runner: &mut Runner, period: Duration) -> Result<Option<Held>> {
    loop {
        let next = tokio::time::timeout(period, inbox.next()).await;
        runner.tick_if_due()?;
        if let Ok(next) = next {
            return Ok(next);
        }
    }
}
