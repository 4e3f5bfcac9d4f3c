//! A connection under way: one half hands on what comes, the other acknowledges what is durable.

use std::cell::Cell;
use std::pin::{Pin, pin};
use std::rc::Rc;

use aqueduct_framework::batch::{Batch, Position, StreamId};
use aqueduct_framework::flight::Event;
use aqueduct_framework::seeded::{self, Bug};
use aqueduct_framework::spill::Streams;
use aqueduct_framework::spill::record::decode_foreign;
use bytes::Bytes;
use futures_util::FutureExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{sleep, sleep_until};

use super::Shared;
use super::connection::{Connection, End, send};
use super::line::Line;
use crate::link::{Fault, HEARTBEAT, Message, Reason, Taken};

/// Bytes read before the others of the thread get a turn.
const TURN_BYTES: usize = 1024 * 1024;

/// The stream that a connection brings.
pub(super) struct Entered {
    pub(super) stream: StreamId,
    pub(super) line: Rc<Line>,
    /// What the store knows of all.
    pub(super) streams: Streams,
    /// The connection's number in the line.
    pub(super) number: u64,
}

/// Each half of a connection hears of the end of the other.
#[derive(Default)]
pub(super) struct Over {
    is: Cell<bool>,
    told: Notify,
}

impl Over {
    fn tell(&self) {
        self.is.set(true);
        self.told.notify_waiters();
    }
}

/// The acknowledging half: ends with the other, or when nothing can be told any more.
pub(super) async fn acknowledge(shared: &Shared, stream: Rc<TcpStream>, entered: &Entered, over: Rc<Over>) {
    let line = &entered.line;
    let mut told = line.incoming.borrow().sequence();
    while !over.is.get() {
        let beat = tokio::select! {
            () = over.told.notified() => return,
            () = line.rung() => false,
            () = sleep(HEARTBEAT) => true,
        };
        line.hear(&shared.context);
        shared.context.gauge("streams").set(entered.streams.len() as u64);
        let (sequence, current) = {
            let incoming = line.incoming.borrow();
            (incoming.sequence(), incoming.is_current(entered.number))
        };
        if !current {
            // It was meant for the connection that has replaced this one.
            return line.pass_on();
        }
        if sequence <= told && !beat {
            continue;
        }
        told = sequence;
        if send(&stream, &Message::Ack(sequence)).await.is_err() {
            // Why, the other half finds too.
            return over.tell();
        }
    }
}

impl Connection {
    /// The taking half. It is dropped with frames in its hands only where the source itself ends: what is behind them could overtake them.
    pub(super) async fn take(&mut self, entered: &Entered, over: Rc<Over>) -> End {
        let end = self.take_all(entered, &over).await;
        over.tell();
        end
    }

    async fn take_all(&mut self, entered: &Entered, over: &Over) -> End {
        let feed = self.feed.clone();
        let mut stopping = pin!(feed.stopping());
        let mut turn = 0;
        self.watch.turn_begins();
        loop {
            match self.messages.cut() {
                Ok(Some(Message::Data { position, record })) => {
                    if let Some(end) = self.data(entered, position, &record, stopping.as_mut()).await {
                        return end;
                    }
                    continue;
                }
                Ok(Some(_)) => return Fault::Unexpected.into(),
                Ok(None) => {
                    if let Err(error) = self.partial.set(self.messages.partial_bytes()) {
                        return End::Refused(Reason::TooLong, error.to_string());
                    }
                }
                Err(fault) => return fault.into(),
            }
            if turn >= TURN_BYTES {
                turn = 0;
                tokio::task::yield_now().await;
                if feed.is_stopping() {
                    return End::Stopping;
                }
            }
            match self.read() {
                Ok(Some(0)) => return End::Closed,
                Ok(Some(bytes)) => {
                    turn += bytes;
                    continue;
                }
                Ok(None) => {}
                Err(error) => return End::Failed(error),
            }
            self.watch.turn_ends(false);
            if over.is.get() || !entered.line.incoming.borrow().is_current(entered.number) {
                return End::Replaced;
            }
            tokio::select! {
                biased;
                () = &mut stopping => return End::Stopping,
                () = entered.line.replaced.notified() => {}
                () = over.told.notified() => {}
                readable = self.stream.readable() => if let Err(error) = readable {
                    return End::Failed(error);
                },
            }
            self.watch.turn_begins();
        }
    }

    /// Hands on what of a message is new.
    async fn data(
        &mut self,
        entered: &Entered,
        position: u64,
        record: &Bytes,
        mut stopping: Pin<&mut impl Future<Output = ()>>,
    ) -> Option<End> {
        let record = match decode_foreign(position, record) {
            Ok(record) => record,
            Err(error) => return Some(Fault::Record(error.to_string()).into()),
        };
        for (first, batch) in record.batches.into_iter().filter(|(_, batch)| !batch.is_empty()) {
            let taken = entered
                .line
                .incoming
                .borrow_mut()
                .take(entered.number, first, batch.len());
            let context = &self.shared.context;
            let (skip, token) = match taken {
                Taken::From { skip, token, missing } => {
                    self.note_missing(first, missing);
                    (skip, token)
                }
                Taken::Repeated => {
                    context.counter("frames_repeated").add(batch.len() as u64);
                    continue;
                }
                Taken::Closed => return Some(End::Replaced),
                Taken::Impossible => return Some(Fault::Record("its positions are impossible".to_owned()).into()),
            };
            context.counter("frames_repeated").add(skip as u64);
            let mut new = batch.part(skip..batch.len());
            new.position = Some(Position {
                stream: entered.stream,
                first: first + skip as u64,
            });
            new.receipt = entered.line.receipt(token);
            if !self.hand(new, stopping.as_mut()).await {
                return Some(End::Stopping);
            }
            if seeded::has(Bug::LinkAcknowledgesArrival) {
                entered.line.pass_on();
            }
        }
        None
    }

    /// Hands a batch to the store, once that takes more. False: the source ends before.
    async fn hand(&mut self, batch: Batch, mut stopping: Pin<&mut impl Future<Output = ()>>) -> bool {
        let feed = self.feed.clone();
        let mut forward = pin!(feed.forward(batch));
        if forward.as_mut().now_or_never().is_some() {
            return true;
        }
        self.watch.turn_ends(true);
        let mut look = self.watch.held();
        loop {
            tokio::select! {
                biased;
                () = &mut stopping => return false,
                () = &mut forward => break,
                () = sleep_until(look.into()) => look = self.look(),
            }
        }
        self.watch.released(&self.stream);
        self.watch.turn_begins();
        true
    }

    /// The store takes nothing: what that does to the sender. Returns when to look again.
    fn look(&mut self) -> std::time::Instant {
        let flight = &self.shared.flight;
        let next = self.watch.still_held(&self.stream, flight.blame());
        if let Some(recorded) = self.watch.stall() {
            let told = flight.judged_reading((&self.peer, &self.peer), recorded, Event::Stalled);
            self.say(&told);
        }
        next
    }

    fn note_missing(&self, first: u64, missing: u64) {
        if missing == 0 {
            return;
        }
        let counted = self.shared.context.counter("frames_missing");
        counted.add(missing);
        tracing::warn!(actor = %self.shared.context.actor, peer = %self.peer, total = counted.get(), "{missing} frames before position {first} are missing: the sending store has given them up (`when_full`, or damaged); its own log says why");
    }
}
