//! A cheap processor on the data thread: no hop, no copy, no wake-up of another core.

use std::collections::VecDeque;
use std::rc::Rc;

use super::ProcessorParts;
use super::outputs::Outputs;
use super::runner::Runner;
use crate::actors::Outcome;
use crate::error::Result;
use crate::find::State;
use crate::mailbox::{Held, Inbox};
use crate::plugin::Emitted;

/// Bytes handled before other actors of the thread get a turn.
const TURN_BYTES: usize = 1024 * 1024;

pub(super) async fn work(parts: ProcessorParts, inbox: Rc<Inbox>, outputs: Rc<Outputs>) -> Outcome {
    match run(parts, &inbox, &outputs).await {
        Ok(()) => Outcome::Finished,
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

async fn run(parts: ProcessorParts, inbox: &Rc<Inbox>, outputs: &Outputs) -> Result<()> {
    let mut runner = Runner::new(&parts.plugin, &parts.context, &parts.tracer, parts.window_bytes)?;
    // What is held back keeps its demand, so that it stays within the window.
    let mut kept: VecDeque<Held> = VecDeque::new();
    let mut turn = 0;
    inbox.open();
    loop {
        let next = match runner.wake_in() {
            None => Some(inbox.next().await),
            Some(time) => tokio::time::timeout(time, inbox.next()).await.ok(),
        };
        match next {
            None => {}
            Some(None) => {
                let last = runner.tick().await?;
                send(outputs, last).await;
                return Ok(());
            }
            Some(Some(mut held)) => {
                turn += handle(&mut runner, outputs, &mut held).await?;
                kept.extend((runner.back().last_frames > 0).then_some(held));
            }
        }
        let due = runner.between().await?;
        send(outputs, due).await;
        kept.drain(..kept.len().saturating_sub(runner.back().batches));
        if turn >= TURN_BYTES {
            turn = 0;
            tokio::task::yield_now().await;
        }
    }
}

/// Runs one batch, and gives its cost.
async fn handle(runner: &mut Runner, outputs: &Outputs, held: &mut Held) -> Result<usize> {
    if !outputs.may_send() {
        held.show(State::WaitingForDemand);
        outputs.permit().await;
    }
    held.show(State::InHand);
    let Some(batch) = held.take() else { return Ok(0) };
    if batch.receipt.is_stale() {
        outputs.count_stale(&batch);
        return Ok(0);
    }
    outputs.count_in(&batch);
    let cost = batch.cost();
    let mut hand = runner.begin(batch)?;
    loop {
        let portion = runner.portion(&mut hand).await?;
        outputs.send(portion.emitted, portion.frames);
        if hand.is_done() {
            return Ok(cost);
        }
        outputs.permit().await;
    }
}

/// Sends what was made between batches.
async fn send(outputs: &Outputs, emitted: Emitted) {
    if !emitted.is_empty() {
        outputs.permit().await;
        outputs.send(emitted, 0);
    }
}
