//! Replies that wait for the fate of what was read. Beside the half of the connection that reads, this one writes.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use aqueduct_framework::batch::Batch;
use aqueduct_framework::plugin::{Awaits, Context};
use aqueduct_framework::receipt::{Ledger, Receipt, Settled};
use aqueduct_framework::telemetry::{Counter, Gauge};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Plan;
use super::quoting::Quoting;
use super::template::Brought;
use super::waiting::{Due, Loss, Waiting};
use crate::sources::told::Told;

/// The frames of one connection that wait for their replies.
pub(in crate::sources::connection) struct Answers {
    waiting: RefCell<Waiting>,
    quoting: RefCell<Quoting>,
    /// What the read in hand brought.
    noted: RefCell<Vec<(u64, Batch)>>,
    told: Arc<Told>,
    ledger: Arc<Ledger>,
    /// Rung when more may be read.
    room: Notify,
    /// Bytes of replies that the flight recorder has not heard of.
    written: Cell<u64>,
    /// When the last frame had its reply, or the connection began.
    answered_at: Cell<Instant>,
    meters: Meters,
}

/// What is counted over all connections of the source.
struct Meters {
    sent: Counter,
    withheld: Counter,
    unanswered: Gauge,
}

/// Why no more replies are written.
#[derive(Debug)]
pub(in crate::sources::connection) enum Halt {
    Failed(io::Error),
    Lost(Loss),
}

impl Answers {
    pub(in crate::sources::connection) fn new(plan: &Rc<Plan>, context: &Context) -> Self {
        let (told, ledger) = match plan.awaits() {
            Awaits::Delivered => Told::of_deliveries(),
            Awaits::Durable | Awaits::Nothing => Told::with_ledger(),
        };
        Self {
            waiting: RefCell::new(Waiting::new(plan.window_frames)),
            quoting: RefCell::new(Quoting::new(plan, context)),
            noted: RefCell::default(),
            told,
            ledger,
            room: Notify::new(),
            written: Cell::new(0),
            answered_at: Cell::new(Instant::now()),
            meters: Meters {
                sent: context.counter("replies"),
                withheld: context.counter("replies_withheld"),
                unanswered: context.gauge("unanswered_frames"),
            },
        }
    }

    /// True while more may be read.
    pub(in crate::sources::connection) fn may_read(&self) -> bool {
        self.waiting.borrow().may_take()
    }

    /// Frames that have no reply yet.
    pub(in crate::sources::connection) fn frames(&self) -> u64 {
        self.waiting.borrow().frames()
    }

    /// Resolves when more may be read. Cancel-safe.
    pub(in crate::sources::connection) async fn room(&self) {
        while !self.may_read() {
            self.room.notified().await;
        }
    }

    /// Since when the peer may be waited for; none while it waits for us.
    pub(in crate::sources::connection) fn answered_at(&self) -> Option<Instant> {
        let nothing_waits = self.waiting.borrow().is_empty();
        nothing_waits.then(|| self.answered_at.get())
    }

    /// Bytes written since the last call.
    pub(in crate::sources::connection) fn take_written(&self) -> u64 {
        self.written.take()
    }

    /// Notes a batch of the read in hand; the receipt by which its fate comes back.
    pub(in crate::sources::connection) fn note(&self, batch: &Batch) -> Receipt {
        let frames = batch.len() as u64;
        let token = self.waiting.borrow_mut().take(frames);
        self.noted.borrow_mut().push((token, batch.share(Receipt::none())));
        self.count(frames as i64);
        self.ledger.issue(token, 1)
    }

    /// The replies to what was noted are these, once they are due.
    pub(in crate::sources::connection) fn reply(&self, brought: Brought) {
        let mut quoting = self.quoting.borrow_mut();
        for (token, batch) in self.noted.borrow_mut().drain(..) {
            let mut replies = Vec::new();
            for frame in batch.frames() {
                quoting.render(frame, brought, &mut replies);
            }
            self.waiting.borrow_mut().reply(token, replies);
        }
    }

    /// There are no replies to what was noted, because a frame that came with it was not taken.
    pub(in crate::sources::connection) fn cut(&self) {
        let mut waiting = self.waiting.borrow_mut();
        let noted = self.noted.borrow_mut().drain(..).map(|(token, _)| token).min();
        let from = noted.unwrap_or_else(|| waiting.next_token());
        waiting.cut(from);
        self.told.ring();
    }

    /// Writes the replies as they come due. Cancel-safe.
    pub(in crate::sources::connection) async fn write(&self, stream: &TcpStream) -> Halt {
        loop {
            match self.write_due(stream).await {
                Ok(()) => self.told.rung().await,
                Err(halt) => return halt,
            }
        }
    }

    /// Writes the replies until nothing waits for one. Cancel-safe.
    pub(in crate::sources::connection) async fn write_all(&self, stream: &TcpStream) -> Result<(), Halt> {
        loop {
            self.write_due(stream).await?;
            if self.waiting.borrow().is_empty() {
                return Ok(());
            }
            self.told.rung().await;
        }
    }

    /// Writes what is due now.
    async fn write_due(&self, stream: &TcpStream) -> Result<(), Halt> {
        loop {
            self.hear();
            let wrote = match self.waiting.borrow().due() {
                Due::Nothing => return Ok(()),
                Due::Lost(loss) => return Err(Halt::Lost(loss)),
                Due::Write([]) => Ok(0),
                Due::Write(replies) => stream.try_write(replies),
            };
            match wrote {
                Ok(bytes) => self.wrote(bytes),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    stream.writable().await.map_err(Halt::Failed)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Halt::Failed(error)),
            }
        }
    }

    fn wrote(&self, bytes: usize) {
        self.written.set(self.written.get() + bytes as u64);
        let frames = self.waiting.borrow_mut().wrote(bytes);
        if frames > 0 {
            self.meters.sent.add(frames);
            self.answered_at.set(Instant::now());
            self.count(-(frames as i64));
            self.room.notify_one();
        }
    }

    fn hear(&self) {
        let mut waiting = self.waiting.borrow_mut();
        for Settled { token, fate, .. } in self.told.take() {
            waiting.settled(token, fate);
        }
    }

    fn count(&self, frames: i64) {
        let unanswered = self.meters.unanswered.get();
        self.meters.unanswered.set(unanswered.saturating_add_signed(frames));
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        let frames = self.waiting.borrow().frames();
        self.meters.withheld.add(frames);
        self.count(-(frames as i64));
    }
}
