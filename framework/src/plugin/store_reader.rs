//! What a sink reads a spill store with, when its clients have cursors of their own there.

mod counted;
mod link;

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::batch::Batch;
use crate::error::{Error, Result};

use counted::Unsettled;
pub(crate) use link::{Fetched, Joined, Link, Opened, Request, Requests, Shared, StoreUnread};

/// What a sink asks of the spill store in front of it. Checked before anything is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StoreUse {
    /// Nothing: there may be one or not.
    #[default]
    Any,
    /// A store with `persist = "always"` stands directly in front, so that every batch has a durable position
    /// ([`Batch::position`](crate::batch::Batch::position)). The sink takes batches as they are: no framing is applied, and what it counts in
    /// [`Sink::acknowledged_bytes`](super::Sink::acknowledged_bytes) are frames, told with [`Delivery::advance_frames`](super::Delivery::advance_frames).
    Positions,
    /// The same, with `retain_bytes`, and feeds nothing else: the sink reads it itself, see [`Sink::serve`](super::Sink::serve).
    Cursors {
        /// Cursors it will have, as far as the config says that.
        at_least: u32,
    },
}

/// Where a cursor begins that the store does not know yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the oldest frame there is.
    Oldest,
    /// With the next frame that becomes durable.
    Newest,
}

/// A cursor that a store keeps, as others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedCursor {
    /// Its name.
    pub name: String,
    /// Everything below this position is settled for it.
    pub position: u64,
    /// Frames that wait for it.
    pub waiting_frames: u64,
    /// Frames it was moved past since the pipeline was started: because the store did not retain them, or because they are damaged.
    pub passed_frames: u64,
}

/// The store in front of a sink, as the sink reads it. Clones read the same store.
#[derive(Debug, Clone)]
pub struct StoreReader {
    link: Link,
}

/// One reader's place in a store. Dropping it closes the cursor, which stays in the store.
#[derive(Debug)]
pub struct ReadCursor {
    name: Arc<str>,
    ticket: u64,
    link: Link,
    shared: Arc<Shared>,
    /// The answer that is waited for; it outlives a cancelled `next`.
    asked: Option<oneshot::Receiver<Result<Fetched>>>,
    /// What was read and not taken yet, with its positions.
    ahead: VecDeque<(u64, Batch)>,
    /// Passed before the first batch of `ahead`.
    passed_frames: u64,
    unsettled: Unsettled,
}

/// What a cursor read.
#[derive(Debug)]
pub struct Read {
    /// Frames it was moved past before this batch: deleted by retention, or damaged.
    pub passed_frames: u64,
    /// The frames. Their receipt is none: [`ReadCursor::settle`] tells their fate.
    pub batch: Batch,
    /// The position behind its last frame: what to settle once it is with the client.
    pub end: u64,
}

impl StoreReader {
    pub(crate) fn new(link: Link) -> Self {
        Self { link }
    }

    /// All cursors the store keeps, in the order of their names; those of clients that are not there too.
    ///
    /// # Errors
    /// `fatal` when the store has ended.
    pub async fn cursors(&self) -> Result<Vec<NamedCursor>> {
        let (answer, cursors) = oneshot::channel();
        self.link.ask(Request::List(answer)).await?;
        cursors.await.map_err(|_| ended())
    }

    /// The cursor of that name: 1 to 64 letters, digits, `-`, `_`, `.` of ASCII, the first no `.`. One the store does not know is made, durable before this returns,
    /// and begins at `start`. One open cursor of a name at a time: an older one reads nothing more, and what it settles afterwards does not count. Cancel-safe: a cursor
    /// that was made stays.
    ///
    /// # Errors
    /// `rejected` when there are as many as `max_cursors` allows, or the name is not one; `unavailable` when the disk does not take it; `fatal` when the store has ended.
    pub async fn cursor(&self, name: &str, start: Start) -> Result<ReadCursor> {
        let (answer, opened) = oneshot::channel();
        let name = name.to_owned();
        self.link.ask(Request::Open { name, start, answer }).await?;
        let opened = opened.await.map_err(|_| ended())??;
        Ok(ReadCursor {
            name: opened.name,
            ticket: opened.ticket,
            unsettled: Unsettled::new(&self.link),
            link: self.link.clone(),
            shared: opened.shared,
            asked: None,
            ahead: VecDeque::new(),
            passed_frames: 0,
        })
    }

    /// Resolves when the pipeline ends: finish what is being written, settle it, and return. Cancel-safe.
    pub async fn stopping(&self) {
        self.link.stopping().await;
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.link.is_stopping()
    }

    /// Makes [`StoreReader::stopping`] resolve.
    pub(crate) fn stop(&self) {
        self.link.stop();
    }
}

impl ReadCursor {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it stands: everything below is settled.
    pub fn position(&self) -> u64 {
        self.shared.settled()
    }

    /// The next frames behind those read before; waits until there are some. About `bytes` of payload are read at once (one record more), and held by this cursor until they are
    /// taken, batch by batch. Only what is durable is read. In order. Cancel-safe.
    ///
    /// # Errors
    /// `unavailable` when the disk cannot be read now: try again after a pause. `rejected` once a newer cursor of this name was opened. `fatal` when the store has ended.
    pub async fn next(&mut self, bytes: u64) -> Result<Read> {
        loop {
            if let Some((position, batch)) = self.ahead.pop_front() {
                let end = position + batch.len() as u64;
                self.unsettled.read(&batch, end);
                return Ok(Read {
                    passed_frames: std::mem::take(&mut self.passed_frames),
                    batch,
                    end,
                });
            }
            let asked = match &mut self.asked {
                Some(asked) => asked,
                none => {
                    let (answer, asked) = oneshot::channel();
                    let ticket = self.ticket;
                    self.link.ask(Request::Next { ticket, bytes, answer }).await?;
                    none.insert(asked)
                }
            };
            let fetched = asked.await;
            self.asked = None;
            let fetched = fetched.map_err(|_| ended())??;
            self.passed_frames += fetched.passed_frames;
            self.ahead.extend(fetched.batches);
        }
    }

    /// Everything below `position` is with the client; a lower one than before changes nothing. Made durable in turn, 16 cursors in 100 ms at most: with 500 at work after some 3 s, and
    /// later where the disk is slow. So it may lag after a crash, never lead. The store may delete what all cursors have settled.
    pub fn settle(&mut self, position: u64) {
        self.shared.settle(position);
        self.unsettled.settle(position);
    }

    /// The frame at `position`, one of those read last, cannot be given to the client: `bytes` long, it does not count as delivered once it is settled. In ascending order.
    pub fn reject(&mut self, position: u64, bytes: u64) {
        self.unsettled.reject(position, bytes);
    }

    /// Frames in the store that this cursor has not settled.
    pub fn waiting_frames(&self) -> u64 {
        self.link.tail().saturating_sub(self.shared.settled())
    }
}

fn ended() -> Error {
    Error::fatal("the spill store in front of this sink has ended")
}
