//! One connection to a receiver.

#[cfg(test)]
mod tests;

use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use aqueduct_framework::batch::Position;
use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::failure::Failure;
use aqueduct_framework::flight::{Errno, Event, Ours};
use aqueduct_framework::plugin::{Context, Delivery};
use aqueduct_framework::spill::record::Packer;
use aqueduct_framework::telemetry::{Gauge, uptime_ns};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{sleep_until, timeout};

use crate::link::{Fault, Hello, Message, Messages, Outgoing, Reason, VERSION, Welcome};
use crate::net::Flight;
use crate::sinks::watch::Watch;

/// What a receiver says is short.
const LONGEST_BYTES: usize = 1024;

/// Reads of the receiver's words in one go, so that a talking one cannot hold up the writing.
const READS_AT_ONCE: usize = 16;

/// A receiver that has made nothing durable for so long, although it lives, is named in `status`.
const STALLED: Duration = Duration::from_secs(10);

/// What the receiver has said of itself.
struct Linked {
    outgoing: Outgoing,
    /// The longest body of a message that it takes.
    longest: usize,
}

pub(super) struct Connection {
    stream: TcpStream,
    peer: String,
    /// For the welcome, and for any word while something is not acknowledged.
    limits: (Duration, Duration),
    linked: Option<Linked>,
    messages: Messages,
    packer: Packer,
    bytes: Vec<u8>,
    /// When the receiver last said anything, and when it last acknowledged more, or owed nothing.
    heard: Instant,
    moved: Instant,
    stalled_since_ns: Gauge,
    signal: Rc<Notify>,
    watch: Watch,
    context: Context,
}

impl Connection {
    pub(super) fn new(
        stream: TcpStream,
        peer: String,
        limits: (Duration, Duration),
        (flight, signal): (&Rc<Flight>, &Rc<Notify>),
        context: &Context,
    ) -> Self {
        Self {
            watch: Watch::new(&context.actor, flight.clone(), context),
            stream,
            peer,
            limits,
            linked: None,
            messages: Messages::new(LONGEST_BYTES),
            packer: Packer::default(),
            bytes: Vec::new(),
            heard: Instant::now(),
            moved: Instant::now(),
            stalled_since_ns: context.gauge("stalled_since_ns"),
            signal: signal.clone(),
            context: context.clone(),
        }
    }

    /// Frames that the receiver has, of those written on this connection.
    pub(super) fn acknowledged_frames(&self) -> u64 {
        let linked = self.linked.as_ref();
        linked.map_or(0, |linked| linked.outgoing.acknowledged_frames())
    }

    /// The first frame that is not acknowledged, where those written last begin at `last`.
    pub(super) fn first_kept(&self, last: u64) -> u64 {
        let linked = self.linked.as_ref();
        linked.map_or(last, |linked| linked.outgoing.first_kept(last))
    }

    /// Writes what the receiver does not have yet.
    ///
    /// # Errors
    /// `unavailable` when it has gone, or does not want it.
    pub(super) async fn write(&mut self, position: Position, delivery: &mut Delivery) -> Result<()> {
        let (batch, written) = (delivery.batch(), delivery.frames_written());
        let frames = batch.len() - written;
        self.hear()?;
        let Some(linked) = &mut self.linked else {
            return Err(Error::unavailable("not linked yet"));
        };
        let skip = linked.outgoing.skip(position.first, frames);
        self.context.counter("frames_skipped").add(skip as u64);
        if skip < frames {
            let new = batch.part(written + skip..batch.len());
            let (longest, bytes) = (linked.longest, &mut self.bytes);
            bytes.clear();
            let mut emit = |position: u64, record: &[u8]| match Message::encode_data(position, record, bytes) {
                length if length <= longest => Ok(()),
                length => Err(too_long(length, longest)),
            };
            let first = position.behind(skip).first;
            self.packer.restart(first);
            self.packer.push(first, &new, &mut emit)?;
            self.packer.flush(&mut emit)?;
            self.send().await?;
        }
        if let Some(linked) = &mut self.linked {
            if !linked.outgoing.is_waiting() {
                (self.moved, self.heard) = (Instant::now(), Instant::now());
            }
            linked.outgoing.sent(position.first, frames);
        }
        delivery.advance_frames(frames);
        self.signal.notify_one();
        Ok(())
    }

    /// Introduces itself, and hears what the receiver has.
    ///
    /// # Errors
    /// `unavailable` when it does not answer, or refuses.
    pub(super) async fn greet(&mut self, position: Position) -> Result<()> {
        self.bytes.clear();
        let hello = Message::Hello(Hello {
            lowest: VERSION,
            highest: VERSION,
            stream: position.stream,
            first: position.first,
        });
        hello.encode(&mut self.bytes);
        self.send().await?;
        let limit = self.limits.0;
        let welcome = timeout(limit, self.welcome()).await;
        let Welcome { sequence, longest, .. } = match welcome {
            Ok(welcome) => welcome?,
            Err(_) => {
                let limit = humantime::format_duration(limit);
                let reason = format!("gave no welcome within {limit}: is that a source `link`?");
                return Err(self.given_up(reason, Failure::ReplyTimeout));
            }
        };
        self.linked = Some(Linked {
            outgoing: Outgoing::new(sequence),
            longest: longest as usize,
        });
        self.context.say("state", format!("linked to {}", self.peer));
        let (actor, peer, Position { stream, first }) = (&self.context.actor, &self.peer, position);
        if sequence < first {
            tracing::warn!(%actor, %peer, %stream, "linked, but the receiver has nothing of the frames {sequence} to {first}, which are settled here: its store is new or was emptied, or this one gave them up; going on at {first}");
        } else {
            tracing::info!(%actor, %peer, %stream, "linked: the receiver has the frames below {sequence}, going on there");
        }
        Ok(())
    }

    async fn welcome(&mut self) -> Result<Welcome> {
        loop {
            match self.messages.cut() {
                Ok(Some(Message::Welcome(welcome))) if welcome.version == VERSION => return Ok(welcome),
                Ok(Some(Message::Refused { reason, text })) => return Err(self.refused(reason, &text)),
                Ok(Some(_)) => return Err(self.senseless(&Fault::Unexpected)),
                Ok(None) => {}
                Err(fault) => return Err(self.senseless(&fault)),
            }
            let readable = self.stream.readable().await;
            readable.map_err(|error| self.lost(&error))?;
            self.read()?;
        }
    }

    /// Sends what stands in `bytes`, and hears what comes meanwhile.
    async fn send(&mut self) -> Result<()> {
        let mut sent = 0;
        while sent < self.bytes.len() {
            match self.stream.try_write(&self.bytes[sent..]) {
                Ok(written) => {
                    self.watch.wrote(written);
                    sent += written;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.watch.refused();
                    self.writable().await?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.lost(&error)),
            }
        }
        Ok(())
    }

    async fn writable(&mut self) -> Result<()> {
        let ready = tokio::select! {
            biased;
            ready = self.stream.ready(Interest::WRITABLE | Interest::READABLE) => ready,
            () = self.watch.due() => {
                self.watch.look(&self.stream);
                return self.check_silence();
            }
        };
        let ready = ready.map_err(|error| self.lost(&error))?;
        // Before the welcome somebody else hears.
        if ready.is_readable() && self.linked.is_some() {
            self.hear()
        } else {
            Ok(())
        }
    }

    /// Resolves when the receiver goes away. Cancel-safe.
    pub(super) async fn watch(&mut self) -> Error {
        loop {
            let due = self.heard + self.limits.1;
            let waiting = self.linked.as_ref().is_some_and(|linked| linked.outgoing.is_waiting());
            let heard = tokio::select! {
                readable = self.stream.readable() => readable.map_err(|error| self.lost(&error)).and_then(|()| self.hear()),
                () = sleep_until(due.into()), if waiting => self.check_silence(),
            };
            if let Err(error) = heard {
                return error;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Hears what has come; what is left after so many reads, the next time.
    fn hear(&mut self) -> Result<()> {
        let mut reads = 0;
        loop {
            match self.messages.cut() {
                Ok(Some(Message::Ack(sequence))) => self.acknowledged(sequence)?,
                Ok(Some(Message::Refused { reason, text })) => return Err(self.refused(reason, &text)),
                Ok(Some(_)) => return Err(self.senseless(&Fault::Unexpected)),
                Ok(None) if reads < READS_AT_ONCE && self.read()? => reads += 1,
                Ok(None) => return Ok(()),
                Err(fault) => return Err(self.senseless(&fault)),
            }
        }
    }

    /// Reads what is there; false when nothing is.
    fn read(&mut self) -> Result<bool> {
        match self.stream.try_read_buf(self.messages.room()) {
            Ok(0) => {
                let partial_bytes = self.messages.partial_bytes() as u64;
                Err(self.finished(partial_bytes))
            }
            Ok(_) => {
                self.heard = Instant::now();
                Ok(true)
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(false),
            Err(error) => Err(self.lost(&error)),
        }
    }

    fn acknowledged(&mut self, sequence: u64) -> Result<()> {
        let Some(Linked { outgoing, .. }) = &mut self.linked else {
            return Err(self.senseless(&Fault::Unexpected));
        };
        let (more, waiting) = (outgoing.acknowledge(sequence), outgoing.is_waiting());
        let now = Instant::now();
        if more || !waiting {
            self.moved = now;
            if self.stalled_since_ns.get() != 0 {
                self.stalled_since_ns.set(0);
                self.context.say("state", format!("linked to {}", self.peer));
            }
            self.signal.notify_one();
        } else if now.duration_since(self.moved) >= STALLED {
            let since = now.duration_since(self.moved);
            self.stalled_since_ns
                .set(uptime_ns().saturating_sub(since.as_nanos() as u64));
            let state = format!(
                "{} lives, but has made nothing durable for {} s: see its own status",
                self.peer,
                since.as_secs()
            );
            self.context.say("state", state);
        }
        Ok(())
    }

    fn check_silence(&mut self) -> Result<()> {
        let (limit, waiting) = (
            self.limits.1,
            self.linked.as_ref().is_some_and(|linked| linked.outgoing.is_waiting()),
        );
        if waiting && self.heard.elapsed() >= limit {
            let limit = humantime::format_duration(limit);
            let reason = format!("has frames to acknowledge, and said nothing for {limit} (ack_timeout)");
            return Err(self.given_up(reason, Failure::ReplyTimeout));
        }
        Ok(())
    }

    /// The end of the pipeline: everything is acknowledged.
    ///
    /// # Errors
    /// When the receiver has gone before.
    pub(super) async fn close(&mut self) -> Result<()> {
        self.stream.shutdown().await.map_err(|error| self.lost(&error))
    }

    fn refused(&mut self, reason: u8, text: &str) -> Error {
        if reason == Reason::Ending as u8 {
            return self.finished(0);
        }
        self.context.counter("refusals").add(1);
        self.given_up(format!("refuses: {text}"), Failure::UnexpectedReply)
    }

    fn senseless(&mut self, fault: &Fault) -> Error {
        let reason = format!("gave no answer of a source `link`: {fault}");
        self.given_up(reason, Failure::UnexpectedReply)
    }

    fn given_up(&mut self, reason: String, failure: Failure) -> Error {
        self.ended(Event::Ours(Ours::Unanswered { reason }), failure)
    }

    fn finished(&mut self, partial_bytes: u64) -> Error {
        self.ended(Event::Finished { partial_bytes }, Failure::PeerClosed)
    }

    fn lost(&mut self, error: &io::Error) -> Error {
        let errno = Errno::from(error);
        let partial_bytes = self.messages.partial_bytes() as u64;
        self.ended(Event::Failed { errno, partial_bytes }, Failure::of(error))
    }

    fn ended(&mut self, event: Event, failure: Failure) -> Error {
        let told = self.watch.ended(&self.stream, &self.peer, event);
        Error::unavailable(told.verdict.sentence).failing(failure)
    }
}

fn too_long(length: usize, longest: usize) -> Error {
    Error::unavailable(format!(
        "a frame needs a message of {length} bytes, and the receiver takes {longest}: raise max_message_bytes of its source `link`"
    ))
}
