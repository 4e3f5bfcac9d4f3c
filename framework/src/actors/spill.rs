//! The spill store's actor: carries out what the [`Fifo`] decides, between the edges and the thread that owns the files.

use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use actix::prelude::*;

use super::{Ended, Order, Outcome};
use crate::batch::Position;
use crate::config::SpillConfig;
use crate::error::{Error, Result};
use crate::mailbox::{Arrival, Edge, EdgeId, Granted, Held, Inbox, Outlet};
use crate::plugin::store_reader::StoreUnread;
use crate::plugin::{Context as PluginContext, frame_bytes};
use crate::receipt::{Ledger, Settled};
use crate::spill::Streams;
use crate::spill::fifo::{Effect, Fifo};
use crate::spill::thread::{Failure, SpillThread, StorageCommand, StorageEvent};
use crate::telemetry::{Tracer, now_ns};

mod ending;
mod find;
mod options;
mod report;
mod serve;
#[cfg(test)]
mod tests;
mod trouble;

use ending::Ending;
use options::options;
use report::Report;
use serve::Serving;

/// How often time passes for the machine: `memory_age`, retries, the cursor.
const TICK: Duration = Duration::from_millis(100);

/// How often it is looked whether somebody has deleted its files.
const CHECK: Duration = Duration::from_secs(1);

/// What a store is made of.
pub struct SpillParts {
    /// Name, folder and meters.
    pub context: PluginContext,
    /// Its bounds.
    pub config: SpillConfig,
    /// The edges that feed it.
    pub upstream: Vec<EdgeId>,
    /// Another store stands somewhere upstream: what that delivers again comes out of order.
    pub behind_store: bool,
    /// A source upstream asks how far streams are: where its batches stood in their own stores is committed with them.
    pub takes_streams: bool,
    /// Where its batches go.
    pub edges: Vec<Edge>,
    /// What its readers ask, when they have cursors of their own.
    pub(crate) readers: Option<StoreUnread>,
    /// Makes its spans.
    pub tracer: Tracer,
    /// Hears how it ended.
    pub supervisor: Recipient<Ended>,
}

/// A store whose files are open: it can still fail before any actor runs.
pub struct OpenStore {
    parts: SpillParts,
    fifo: Fifo,
    serving: Option<Serving>,
    report: Report,
    thread: SpillThread,
    address: Arc<OnceLock<Recipient<News>>>,
}

/// What reaches the store from other threads.
#[derive(Debug, Message)]
#[rtype(result = "()")]
enum News {
    Storage(StorageEvent),
    Settled(Settled),
}

/// The actor.
pub struct Spill {
    context: PluginContext,
    fifo: Fifo,
    /// Of a store whose readers have cursors of their own.
    serving: Option<Serving>,
    thread: SpillThread,
    address: Arc<OnceLock<Recipient<News>>>,
    inbox: Rc<Inbox>,
    outlet: Rc<Outlet>,
    ledger: Arc<Ledger>,
    /// Batches the machine has taken whose demand is not returned yet.
    holding: Vec<Held>,
    tracer: Tracer,
    supervisor: Recipient<Ended>,
    report: Report,
    /// What the machine's time is counted from: a clock that is set back must not make it wait.
    since: Instant,
    /// The thread looks whether the files are still there.
    checking: bool,
    ending: Ending,
    behind_store: bool,
    takes_streams: bool,
}

impl Spill {
    /// Opens the files (blocking) and starts their thread.
    ///
    /// # Errors
    /// When the directory cannot be used: no permission, held by another process, a newer format.
    pub fn open(mut parts: SpillParts) -> Result<OpenStore> {
        let address: Arc<OnceLock<Recipient<News>>> = Arc::default();
        let report_to = address.clone();
        let owner = format!("{} {}", parts.context.pipeline, parts.context.actor);
        let options = options(&parts.config, &owner);
        let started = SpillThread::start(&parts.context.actor, &options, move |event| {
            if let Some(address) = report_to.get() {
                address.do_send(News::Storage(event));
            }
        });
        let (thread, recovered) =
            started.map_err(|error| Error::fatal(format!("spill store `{}`", parts.context.actor)).because(error))?;
        report::opened(&parts.context, &options, recovered, thread.left_behind());
        let serving = Serving::of(&mut parts, &options, recovered, thread.named())?;
        if recovered.frames > 0 && serving.is_none() {
            tracing::info!(
                actor = %parts.context.actor,
                "{} frames ({} bytes) wait on disk from an earlier run and are delivered first",
                recovered.frames,
                recovered.bytes
            );
        }
        let fifo = Fifo::new(&options, recovered);
        // Before any actor runs, so that the first status tells what waits already.
        let mut report = Report::new(&parts.context, &parts.config, recovered.read_only);
        report.update(&fifo.state());
        report.damage(thread.usage());
        Ok(OpenStore {
            fifo,
            serving,
            report,
            thread,
            address,
            parts,
        })
    }
}

impl OpenStore {
    /// How far it has the streams that end in it.
    pub fn streams(&self) -> &Streams {
        self.thread.streams()
    }

    /// The epoch of the numbers that sources in front of it give in this run.
    pub fn epoch(&self) -> u64 {
        self.thread.epoch()
    }

    /// The actor, made on the thread it runs on.
    pub fn into_actor(self) -> Spill {
        let parts = self.parts;
        let window_bytes = usize::try_from(parts.config.window_bytes.bytes()).unwrap_or(usize::MAX);
        let settled_to = self.address.clone();
        Spill {
            report: self.report,
            inbox: Inbox::new(&parts.upstream, window_bytes),
            outlet: Outlet::new(parts.edges),
            ledger: Ledger::redelivering(move |settled| {
                if let Some(address) = settled_to.get() {
                    address.do_send(News::Settled(settled));
                }
            }),
            context: parts.context,
            fifo: self.fifo,
            serving: self.serving,
            thread: self.thread,
            address: self.address,
            holding: Vec::new(),
            tracer: parts.tracer,
            supervisor: parts.supervisor,
            since: Instant::now(),
            checking: false,
            ending: Ending::No,
            behind_store: parts.behind_store,
            takes_streams: parts.takes_streams,
        }
    }
}

impl Spill {
    fn pump(&mut self) {
        let now = now_ns();
        while let Some(mut held) = self.inbox.try_next() {
            if let Some(mut batch) = held.take() {
                self.context.meters.frames_in.add(batch.len() as u64);
                self.context.meters.bytes_in.add(frame_bytes(&batch));
                self.tracer.arrived(&mut batch, now);
                // Of another store of this pipeline it means nothing here.
                batch.position = batch.position.filter(|_| self.takes_streams);
                self.fifo.append(batch, self.elapsed_ns());
            }
            self.holding.push(held);
        }
        self.advance_ending();
        self.serve();
        while let Some(effect) = self.fifo.next(self.outlet.may_send()) {
            self.carry_out(effect);
        }
        self.close_unread();
        if self.fifo.may_accept() {
            self.holding.clear();
            self.inbox.restore();
        }
        if self.ending == Ending::No || self.ending == Ending::Emptying {
            // Readers fetch what they want: nothing is handed down, so nothing waits for demand.
            let hands_down = self.serving.is_none() && self.fifo.state().waiting_frames > 0;
            self.outlet.note_waiting(hands_down && !self.outlet.may_send());
        }
        self.report.update(&self.fifo.state());
    }

    fn elapsed_ns(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn carry_out(&mut self, effect: Effect) {
        let command = match effect {
            Effect::Hand {
                token, epoch, batch, ..
            } => return self.hand(batch, token, epoch),
            Effect::SettleUpstream { receipt, fate } => return receipt.settle(fate),
            Effect::Write { generation, batches } => StorageCommand::Append { generation, batches },
            Effect::Read { from, to, bytes } => StorageCommand::Read { from, to, bytes },
            Effect::PersistCursor { position } => StorageCommand::Settle { position },
            Effect::DropOldest { from, to } => StorageCommand::DropOldest { from, to },
            Effect::Finished => return self.finish(),
        };
        self.thread.send(command);
    }

    fn hand(&mut self, mut batch: crate::batch::Batch, token: u64, epoch: u64) {
        batch.receipt = self.ledger.issue(token, epoch);
        batch.position = self.thread.stream().map(|stream| Position { stream, first: token });
        self.context.meters.frames_out.add(batch.len() as u64);
        self.context.meters.bytes_out.add(frame_bytes(&batch));
        self.tracer.waited(&mut batch);
        self.outlet.send(batch);
    }

    fn storage(&mut self, event: StorageEvent, ctx: &mut Context<Self>) {
        match event {
            StorageEvent::Committed { tail, usage } => {
                self.report.trouble.wrote();
                self.fifo.committed(tail, usage);
                if let Some(serving) = &mut self.serving {
                    serving.committed(tail);
                }
            }
            StorageEvent::ReadDone { found, usage } => {
                self.report.trouble.read();
                self.report.damage(usage);
                self.fifo.read_done(found);
            }
            StorageEvent::Settled { position, usage } => self.fifo.cursor_persisted(position, usage),
            StorageEvent::OldestDropped { range, usage } => self.fifo.oldest_dropped(range, usage),
            StorageEvent::Named { event, usage } => self.named(event, usage),
            StorageEvent::Failed { what, error } => {
                self.report.trouble.failed(what, &error);
                match what {
                    Failure::Write => {
                        let full = error.is_full_for(self.fifo.when_full());
                        self.fifo.write_failed(self.elapsed_ns(), full);
                    }
                    Failure::Read => self.fifo.read_failed(self.elapsed_ns()),
                    Failure::Cursor => self.fifo.cursor_failed(),
                    Failure::Drop => self.fifo.drop_failed(),
                }
            }
            StorageEvent::Checked {
                deleted_frames,
                free_bytes,
            } => {
                self.checking = false;
                self.report.deleted(deleted_frames);
                self.report.free(free_bytes);
            }
            StorageEvent::Closed { deleted_frames, error } => {
                self.report.closed(deleted_frames);
                if let Some(error) = error {
                    self.report.trouble.failed_to_close(&error);
                }
                self.end(Outcome::Finished);
                ctx.stop();
            }
        }
    }
}

impl Actor for Spill {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let _ = self.address.set(ctx.address().recipient());
        self.outlet.join(&ctx.address().recipient());
        self.inbox.open();
        self.listen(ctx);
        ctx.run_interval(TICK, |spill, _| {
            spill.fifo.tick(spill.elapsed_ns());
            if let Some(serving) = &mut spill.serving {
                serving.tick(now_ns());
            }
            spill.pump();
        });
        ctx.run_interval(CHECK, |spill, _| {
            // A disk that does not answer is asked once.
            if !std::mem::replace(&mut spill.checking, true) {
                spill.thread.send(StorageCommand::Check);
            }
        });
        self.pump();
    }
}

impl Handler<Arrival> for Spill {
    type Result = ();

    fn handle(&mut self, arrival: Arrival, _: &mut Self::Context) {
        self.inbox.take(arrival);
        self.pump();
    }
}

impl Handler<Granted> for Spill {
    type Result = ();

    fn handle(&mut self, granted: Granted, _: &mut Self::Context) {
        self.outlet.grant(granted);
        self.pump();
    }
}

impl Handler<News> for Spill {
    type Result = ();

    fn handle(&mut self, news: News, ctx: &mut Self::Context) {
        match news {
            News::Storage(event) => self.storage(event, ctx),
            News::Settled(settled) => self.fifo.settled(settled),
        }
        self.pump();
    }
}
