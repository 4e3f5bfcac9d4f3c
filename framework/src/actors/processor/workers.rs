//! Workers: plugin instances on threads of their own. What they finish leaves in input order.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use actix::prelude::*;
use tokio::sync::Notify;

use super::ProcessorParts;
use super::outputs::Outputs;
use super::reorder::Reorder;
use super::runner::Runner;
use crate::actors::Outcome;
use crate::batch::Batch;
use crate::error::Result;
use crate::find::State;
use crate::mailbox::{Held, Inbox};
use crate::plugin::Emitted;

/// Batches a worker has at once: one in work, one waiting, so that it never idles between two.
const PER_WORKER: usize = 2;

/// A batch for a worker.
#[derive(Message)]
#[rtype(result = "()")]
struct Work {
    ticket: u64,
    batch: Batch,
}

/// What a worker made of a batch; without a result it could not start.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Done {
    worker: usize,
    ticket: u64,
    frames: usize,
    result: Result<Emitted>,
}

/// The workers of a processor, as its actor sees them.
pub(super) struct Pool {
    workers: Vec<(Recipient<Work>, Cell<usize>)>,
    arbiters: Vec<Arbiter>,
    done: RefCell<VecDeque<Done>>,
    came: Notify,
}

impl Pool {
    pub(super) fn start(parts: &ProcessorParts, done_to: &Recipient<Done>) -> Self {
        let arbiters: Vec<_> = (0..parts.workers).map(|_| Arbiter::new()).collect();
        let workers = arbiters.iter().enumerate().map(|(index, arbiter)| {
            let (parts, done_to) = (parts.clone(), done_to.clone());
            let worker = Worker::start_in_arbiter(&arbiter.handle(), move |_| Worker::new(index, parts, done_to));
            (worker.recipient(), Cell::new(0))
        });
        Self {
            workers: workers.collect(),
            arbiters,
            done: RefCell::default(),
            came: Notify::new(),
        }
    }

    pub(super) fn take(&self, done: Done) {
        self.done.borrow_mut().push_back(done);
        self.came.notify_one();
    }

    fn idlest(&self) -> Option<usize> {
        let load = |index: &usize| self.workers[*index].1.get();
        (0..self.workers.len())
            .min_by_key(load)
            .filter(|index| load(index) < PER_WORKER)
    }

    fn give(&self, index: usize, work: Work) {
        let (worker, load) = &self.workers[index];
        load.set(load.get() + 1);
        worker.do_send(work);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
    }
}

pub(super) async fn work(pool: Rc<Pool>, inbox: Rc<Inbox>, outputs: Rc<Outputs>) -> Outcome {
    let mut order: Reorder<(usize, Emitted)> = Reorder::new();
    let mut held: BTreeMap<u64, Held> = BTreeMap::new();
    let mut emitted = 0;
    let mut open = true;
    inbox.open();
    loop {
        while let Some(done) = next_done(&pool) {
            match done.result {
                Ok(result) => {
                    if let Some(held) = held.get(&done.ticket) {
                        held.show(State::WaitingForOrder);
                    }
                    order.done(done.ticket, (done.frames, result));
                }
                Err(error) => return Outcome::Failed(error.to_string()),
            }
        }
        while let Some((frames, result)) = order.pop() {
            outputs.permit().await;
            outputs.send(result, frames);
            held.remove(&emitted);
            emitted += 1;
        }
        if !open && order.in_flight() == 0 {
            return Outcome::Finished;
        }
        let idle = pool.idlest();
        tokio::select! {
            () = pool.came.notified() => {}
            next = inbox.next(), if open && idle.is_some() => match (next, idle) {
                (Some(mut batch), Some(worker)) => {
                    let ticket = order.issue();
                    give(&pool, worker, ticket, &mut batch, &outputs, &mut order);
                    held.insert(ticket, batch);
                }
                _ => open = false,
            },
        }
    }
}

fn next_done(pool: &Pool) -> Option<Done> {
    let done = pool.done.borrow_mut().pop_front()?;
    let load = &pool.workers[done.worker].1;
    load.set(load.get().saturating_sub(1));
    Some(done)
}

fn give(
    pool: &Pool,
    worker: usize,
    ticket: u64,
    held: &mut Held,
    outputs: &Outputs,
    order: &mut Reorder<(usize, Emitted)>,
) {
    held.show(State::InHand);
    match held.take() {
        Some(batch) if !batch.receipt.is_stale() => {
            outputs.count_in(&batch);
            pool.give(worker, Work { ticket, batch });
        }
        stale => {
            if let Some(batch) = stale {
                outputs.count_stale(&batch);
            }
            order.done(ticket, (0, Vec::new()));
        }
    }
}

/// One plugin instance on its thread.
struct Worker {
    index: usize,
    parts: ProcessorParts,
    done_to: Recipient<Done>,
    queue: Rc<RefCell<VecDeque<Work>>>,
    came: Rc<Notify>,
}

impl Worker {
    fn new(index: usize, parts: ProcessorParts, done_to: Recipient<Done>) -> Self {
        Self {
            index,
            parts,
            done_to,
            queue: Rc::default(),
            came: Rc::default(),
        }
    }
}

impl Actor for Worker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let (queue, came) = (self.queue.clone(), self.came.clone());
        let (parts, done_to, worker) = (self.parts.clone(), self.done_to.clone(), self.index);
        let work = async move {
            let done = |ticket, frames, result| {
                done_to.do_send(Done {
                    worker,
                    ticket,
                    frames,
                    result,
                });
            };
            let mut runner = match Runner::new(&parts.plugin, &parts.context, &parts.tracer) {
                Ok(runner) => runner.of_worker(worker),
                Err(error) => return done(0, 0, Err(error)),
            };
            loop {
                if let Err(error) = runner.tick_if_due() {
                    return done(0, 0, Err(error));
                }
                let next = queue.borrow_mut().pop_front();
                let Some(Work { ticket, batch }) = next else {
                    wait(&came, runner.tick_every()).await;
                    continue;
                };
                let frames = batch.len();
                let result = runner.run(batch).await;
                let failed = result.is_err();
                done(ticket, frames, result);
                if failed {
                    return;
                }
            }
        };
        ctx.spawn(work.into_actor(self));
    }
}

async fn wait(came: &Notify, tick: Option<std::time::Duration>) {
    match tick {
        None => came.notified().await,
        // Whether a batch came or the time did, the loop looks at both.
        Some(period) => drop(tokio::time::timeout(period, came.notified()).await),
    }
}

impl Handler<Work> for Worker {
    type Result = ();

    fn handle(&mut self, work: Work, _: &mut Self::Context) {
        self.queue.borrow_mut().push_back(work);
        self.came.notify_one();
    }
}
