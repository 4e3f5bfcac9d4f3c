//! Workers: plugin instances on threads of their own. What they finish leaves in input order.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use actix::prelude::*;
use futures_util::FutureExt;
use tokio::sync::Notify;

use super::outputs::Outputs;
use super::reorder::Reorder;
use super::runner::{Portion, Runner};
use super::tick::Back;
use super::{ProcessorParts, dropped_badly};
use crate::actors::{Outcome, arbiter};
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::find::State;
use crate::mailbox::{Held, Inbox};
use crate::plugin::Emitted;

/// Batches a worker has at once: one in work, one waiting, so that it never idles between two.
const PER_WORKER: usize = 2;

/// A batch for a worker; without one, the end of the input.
#[derive(Message)]
#[rtype(result = "()")]
struct Work {
    ticket: u64,
    batch: Option<Batch>,
}

/// What a worker made of a batch, or between batches.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Done {
    worker: usize,
    /// Of the batch; none for what was made between batches.
    ticket: Option<u64>,
    made: Result<Made>,
}

struct Made {
    frames_in: usize,
    emitted: Emitted,
    back: Back,
}

impl Made {
    fn nothing() -> Self {
        Self {
            frames_in: 0,
            emitted: Vec::new(),
            back: Back::default(),
        }
    }
}

fn stop(arbiters: &[Arbiter]) {
    for arbiter in arbiters {
        arbiter.stop();
    }
}

/// The workers of a processor, as its actor sees them.
pub(super) struct Pool {
    workers: Vec<(Recipient<Work>, Cell<usize>)>,
    arbiters: Vec<Arbiter>,
    done: RefCell<VecDeque<Done>>,
    came: Notify,
}

impl Pool {
    /// # Errors
    /// When the system has no thread or file left for all of them.
    pub(super) fn start(parts: &ProcessorParts, done_to: &Recipient<Done>) -> Result<Self> {
        let mut arbiters = Vec::<Arbiter>::new();
        for _ in 0..parts.workers {
            let another = arbiter().inspect_err(|_| stop(&arbiters))?;
            arbiters.push(another);
        }
        let workers = arbiters.iter().enumerate().map(|(index, arbiter)| {
            let (parts, done_to) = (parts.clone(), done_to.clone());
            let worker = Worker::start_in_arbiter(&arbiter.handle(), move |_| Worker::new(index, parts, done_to));
            (worker.recipient(), Cell::new(0))
        });
        Ok(Self {
            workers: workers.collect(),
            arbiters,
            done: RefCell::default(),
            came: Notify::new(),
        })
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
        stop(&self.arbiters);
    }
}

pub(super) async fn work(pool: Rc<Pool>, inbox: Rc<Inbox>, outputs: Rc<Outputs>) -> Outcome {
    let mut desk = Desk {
        pool: &pool,
        outputs: &outputs,
        order: Reorder::new(),
        given: BTreeMap::new(),
        kept: VecDeque::new(),
        emitted: 0,
    };
    let (mut open, mut ending) = (true, false);
    inbox.open();
    loop {
        while let Some(done) = next_done(&pool) {
            if let Err(error) = desk.take(done).await {
                return Outcome::Failed(error.to_string());
            }
        }
        desk.send_in_order().await;
        if !open && desk.order.in_flight() == 0 {
            if ending {
                return Outcome::Finished;
            }
            ending = true;
            desk.give_the_end();
        }
        let idle = pool.idlest();
        tokio::select! {
            () = pool.came.notified() => {}
            next = inbox.next(), if open && idle.is_some() => match (next, idle) {
                (Some(batch), Some(worker)) => desk.give(worker, batch),
                _ => open = false,
            },
        }
    }
}

fn next_done(pool: &Pool) -> Option<Done> {
    let done = pool.done.borrow_mut().pop_front()?;
    if done.ticket.is_some() {
        let load = &pool.workers[done.worker].1;
        load.set(load.get().saturating_sub(1));
    }
    Some(done)
}

/// Where batches are given out, and what was made of them is sent in input order.
struct Desk<'a> {
    pool: &'a Pool,
    outputs: &'a Outputs,
    order: Reorder<Made>,
    given: BTreeMap<u64, Held>,
    /// What the one worker holds back keeps its demand.
    kept: VecDeque<Held>,
    emitted: u64,
}

impl Desk<'_> {
    fn give(&mut self, worker: usize, mut held: Held) {
        let ticket = self.order.issue();
        held.show(State::InHand);
        match held.take() {
            Some(batch) if !batch.receipt.is_stale() => {
                self.outputs.count_in(&batch);
                let batch = Some(batch);
                self.pool.give(worker, Work { ticket, batch });
                self.given.insert(ticket, held);
            }
            stale => {
                if let Some(batch) = stale {
                    self.outputs.count_stale(&batch);
                }
                self.order.done(ticket, Made::nothing());
            }
        }
    }

    /// Every worker flushes what it holds back.
    fn give_the_end(&mut self) {
        for worker in 0..self.pool.workers.len() {
            let ticket = self.order.issue();
            self.pool.give(worker, Work { ticket, batch: None });
        }
    }

    async fn take(&mut self, done: Done) -> Result<()> {
        let made = done.made?;
        match done.ticket {
            Some(ticket) => {
                if let Some(held) = self.given.get(&ticket) {
                    held.show(State::WaitingForOrder);
                }
                self.order.done(ticket, made);
            }
            None => {
                // It was made after all that this worker had handed in before.
                self.send_in_order().await;
                self.send(made).await;
            }
        }
        Ok(())
    }

    async fn send_in_order(&mut self) {
        while let Some(made) = self.order.pop() {
            let held = self.given.remove(&self.emitted);
            self.emitted += 1;
            self.kept.extend(held.filter(|held| {
                held.show(State::InHand);
                made.back.last_frames > 0
            }));
            self.send(made).await;
        }
    }

    async fn send(&mut self, made: Made) {
        if !made.emitted.is_empty() || made.frames_in > 0 {
            self.outputs.permit().await;
            self.outputs.send(made.emitted, made.frames_in);
        }
        self.kept.drain(..self.kept.len().saturating_sub(made.back.batches));
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
        let alone = parts.workers == 1;
        let work = async move {
            let done = |ticket, made| done_to.do_send(Done { worker, ticket, made });
            let runner = Runner::new(&parts.plugin, &parts.context, &parts.tracer, parts.window_bytes);
            let why = parts.plugin.about.info.alone.as_deref();
            let ended = match runner.and_then(|runner| runner.alone_if_it_must(parts.workers, why)) {
                Ok(runner) => {
                    let serving = serve(runner.of_worker(worker), alone, &queue, &came, &done);
                    let ended = AssertUnwindSafe(serving).catch_unwind().await;
                    ended.unwrap_or_else(|panic| Err(Error::fatal(dropped_badly(&*panic))))
                }
                Err(error) => Err(error),
            };
            if let Err(error) = ended {
                done(None, Err(error));
            }
        };
        ctx.spawn(work.into_actor(self));
    }
}

/// Runs what comes until the end of the input.
async fn serve(
    mut runner: Runner,
    alone: bool,
    queue: &RefCell<VecDeque<Work>>,
    came: &Notify,
    done: &impl Fn(Option<u64>, Result<Made>),
) -> Result<()> {
    let mut told = Back::default();
    loop {
        let emitted = runner.between().await?;
        if !emitted.is_empty() || runner.back().batches != told.batches {
            done(None, Ok(made(emitted, 0, &runner)));
        }
        let next = queue.borrow_mut().pop_front();
        match next {
            None => wait(came, runner.wake_in()).await,
            Some(Work { ticket, batch: None }) => {
                let last = runner.tick().await?;
                done(Some(ticket), Ok(made(last, 0, &runner)));
                return Ok(());
            }
            Some(Work {
                ticket,
                batch: Some(batch),
            }) => {
                let mut hand = runner.begin(batch)?;
                let mut whole = Portion::default();
                while !hand.is_done() {
                    let portion = runner.portion(&mut hand).await?;
                    if alone && !hand.is_done() {
                        done(None, Ok(made(portion.emitted, portion.frames, &runner)));
                    } else {
                        // Before this batch others may have to leave, which are with other workers.
                        whole.emitted.extend(portion.emitted);
                        whole.frames += portion.frames;
                    }
                }
                done(Some(ticket), Ok(made(whole.emitted, whole.frames, &runner)));
            }
        }
        told = runner.back();
    }
}

fn made(emitted: Emitted, frames_in: usize, runner: &Runner) -> Made {
    let back = runner.back();
    Made {
        frames_in,
        emitted,
        back,
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
