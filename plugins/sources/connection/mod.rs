//! One TCP connection that is read: what the sources `tcp_client` and `tcp_server` do with a connection once they have it.
//!
//! A turn reads until nothing is there, until the turn's byte budget is used up (against a fast sender "until nothing is there" has no
//! end), or until the actor downstream takes no more. Between turns other connections, and the other actors of the thread, run.

mod end;
mod heartbeat;
mod reply;
mod replying;
pub(super) mod watch;

use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::Duration;

use aqueduct_framework::batch::Attributes;
use aqueduct_framework::error::Result;
use aqueduct_framework::flight::{Event, Recorder};
use aqueduct_framework::plugin::{Awaits, Context, Feed, Filled, Intake};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::net::{Flight, Keepalive, Told, canonical};
use end::End;
pub(super) use heartbeat::Heartbeat;
pub(super) use reply::ReplyConfig;
use reply::{Brought, Plan};
use replying::Replying;
use watch::Watch;

/// What all connections of a source share.
pub(super) struct Settings {
    context: Context,
    turn_bytes: usize,
    idle_timeout: Option<Duration>,
    keepalive: Keepalive,
    reply: Option<Rc<Plan>>,
    /// The recorders of its connections are judged here.
    pub(super) flight: Flight,
    /// The peer in sentences about it is called like the actor, because there is only one; otherwise by its address.
    only: bool,
    /// What is sent now and then.
    heartbeat: Option<Heartbeat>,
}

impl Settings {
    /// # Errors
    /// When the reply quotes what there is not, or its options contradict each other.
    pub(super) fn new(
        context: &Context,
        turn_bytes: u64,
        idle_timeout: Option<Duration>,
        keepalive: Keepalive,
        reply: Option<&ReplyConfig>,
        only: bool,
    ) -> Result<Rc<Self>> {
        Ok(Rc::new(Self {
            context: context.clone(),
            turn_bytes: usize::try_from(turn_bytes).unwrap_or(usize::MAX),
            idle_timeout,
            keepalive,
            flight: if only {
                Flight::dialling(context)
            } else {
                Flight::accepting(context)
            },
            only,
            heartbeat: None,
            reply: reply.map(Plan::new).transpose()?.map(Rc::new),
        }))
    }
}

impl Settings {
    /// With something that is sent now and then.
    pub(super) fn beating(mut self: Rc<Self>, heartbeat: Option<Heartbeat>) -> Rc<Self> {
        if let Some(settings) = Rc::get_mut(&mut self) {
            settings.heartbeat = heartbeat;
        }
        self
    }

    /// What the source waits for before it replies.
    pub(super) fn awaits(&self) -> Awaits {
        self.reply.as_ref().map_or(Awaits::Nothing, |plan| plan.awaits())
    }

    fn judged(&self, peer: &str, recorded: (&Recorder, u64), event: Event) -> Told {
        let who = if self.only { &self.context.actor } else { peer };
        self.flight.judged_reading((who, peer), recorded, event)
    }

    /// Says it in the log: aloud what needs attention, unless it was said often enough.
    pub(super) fn say(&self, peer: &str, told: &Told) {
        let (actor, sentence, cause) = (&self.context.actor, &told.verdict.sentence, told.verdict.cause);
        match told.line() {
            Some(line) if cause.is_trouble() => tracing::warn!(%actor, peer, %cause, "{line}"),
            Some(line) if self.only => tracing::info!(%actor, peer, %cause, "{line}"),
            _ => tracing::debug!(%actor, peer, %cause, "{sentence}"),
        }
    }
}

/// A connection and the stream of frames that its bytes become.
pub(super) struct Connection {
    /// Shared with its heartbeat.
    stream: Rc<TcpStream>,
    peer: String,
    intake: Intake,
    replying: Replying,
    watch: Watch,
    settings: Rc<Settings>,
    bytes: u64,
    /// It broke while nothing could be read: with this error, of which was told already. What had come before is still read.
    broken: Option<(io::Error, Told)>,
}

/// Why a turn ended.
enum Turn {
    /// Nothing is there now.
    Empty,
    /// The budget is used up, or there is no demand: more may be there.
    Pause,
    Over(End),
}

impl Connection {
    /// Takes a connection over. Its frames carry `peer.address`.
    ///
    /// # Errors
    /// When the framing refuses its options.
    pub(super) fn new(stream: TcpStream, feed: &Feed, settings: &Rc<Settings>) -> Result<Self> {
        let peer = stream
            .peer_addr()
            .map_or_else(|_| "unknown".to_owned(), |peer| canonical(peer).to_string());
        // Without it a peer that vanishes is missed only later; there is nobody to tell who could do something about it.
        let _ = settings.keepalive.apply(&stream);
        if settings.awaits() != Awaits::Nothing {
            // Each reply is waited for: without it the kernel would hold the second back until the first is acknowledged (Nagle). It is slower then, no more.
            let _ = stream.set_nodelay(true);
        }
        let attributes = Attributes::of_batch([("peer.address".to_owned(), peer.clone())]);
        let replying = Replying::new(settings.reply.as_ref(), &settings.context);
        Ok(Self {
            intake: feed.stream(attributes)?,
            watch: Watch::new(&settings.context, &stream, settings.reply.is_some()),
            stream: Rc::new(stream),
            peer,
            replying,
            settings: settings.clone(),
            bytes: 0,
            broken: None,
        })
    }

    /// Reads until the connection ends or `feed` stops. Returns why it ended, and how many bytes came for good.
    pub(super) async fn run(mut self, feed: &Feed) -> (Told, u64) {
        let (stream, settings) = (self.stream.clone(), self.settings.clone());
        let later = self.replying.later();
        let end = tokio::select! {
            end = self.read(feed) => end,
            error = heartbeat::beat(settings.heartbeat.as_ref(), &stream, &settings.context) => End::Failed(error),
            end = replying::write(later.as_deref(), &stream) => end,
        };
        let end = replying::see_off(later.as_deref(), &stream, feed, settings.only, end).await;
        self.watch.replied(self.replying.take_written());
        let (mut end, mut told) = (end, None);
        // The error was taken off the socket when it was told, so that reading saw a plain end.
        if let (End::Closed, Some((error, earlier))) = (&end, self.broken.take()) {
            (end, told) = (End::Failed(error), Some(earlier));
        }
        end.count(&self.settings.context);
        if self.settings.only {
            end.count_failure(&self.settings.context);
        }
        let told = told.unwrap_or_else(|| self.judged(&end));
        if matches!(end, End::Closed) {
            self.intake.finish();
        }
        // Who dials again after a loss waits longer each time: the same frames may be lost again.
        let good = !matches!(end, End::Lost(_));
        (told, if good { self.bytes } else { 0 })
    }

    fn judged(&mut self, end: &End) -> Told {
        let event = end.event(self.intake.partial_bytes() as u64);
        let (recorder, age_ms) = self.watch.end(&self.stream, matches!(end, End::Failed(_)));
        let told = self.settings.judged(&self.peer, (recorder, age_ms), event);
        self.settings.say(&self.peer, &told);
        told
    }

    async fn read(&mut self, feed: &Feed) -> End {
        let mut stopping = pin!(feed.stopping());
        let mut idle = pin!(sleep_until(Instant::now()));
        let mut look = pin!(sleep_until(Instant::now()));
        loop {
            if !self.demand(stopping.as_mut(), look.as_mut()).await {
                return End::Stopping;
            }
            // Waiting for demand is no idleness of the peer, so the clock starts here.
            let quiet_since = Instant::now();
            loop {
                tokio::select! {
                    biased;
                    () = &mut stopping => return End::Stopping,
                    readable = self.stream.readable() => match readable {
                        Ok(()) => break,
                        Err(error) => return End::Failed(error),
                    },
                    () = &mut idle, if self.settings.idle_timeout.is_some() => {}
                }
                // One timer serves all turns: it is moved only when it fires.
                let Some(limit) = self.settings.idle_timeout else {
                    continue;
                };
                // Nor is waiting for our reply.
                let since = self.replying.quiet_since(quiet_since);
                if since.elapsed() >= limit {
                    return End::Idle(limit);
                }
                idle.as_mut().reset(since + limit);
            }
            match self.turn() {
                Turn::Empty => {}
                Turn::Pause => tokio::task::yield_now().await,
                Turn::Over(end) => return end,
            }
        }
    }

    /// Waits for demand, and looks at the kernel's queues meanwhile. False: the source is stopping.
    async fn demand(&mut self, mut stopping: Pin<&mut impl Future<Output = ()>>, mut look: Pin<&mut Sleep>) -> bool {
        let held = !self.may_read();
        let later = self.replying.later();
        let (watch, stream, settings) = (&mut self.watch, &self.stream, &self.settings);
        let (flight, replying) = (&settings.flight, &self.replying);
        let blame = || replying.blame(&settings.context).or_else(|| flight.blame());
        if held {
            look.as_mut().reset(watch.held().into());
        }
        let mut permit = pin!(async {
            if let Some(answers) = &later {
                answers.room().await;
            }
            self.intake.ready().await;
        });
        loop {
            tokio::select! {
                biased;
                () = &mut stopping => return false,
                () = &mut permit => break,
                () = &mut look, if held => {
                    look.as_mut().reset(watch.still_held(stream, blame()).into());
                    if let Some(stall) = watch.stall() {
                        settings.say(&self.peer, &settings.judged(&self.peer, stall, Event::Stalled));
                    }
                }
                // A reset is told when it comes, however long it takes until we may read up to it.
                _ = stream.ready(Interest::ERROR), if held && self.broken.is_none() => {
                    let error = stream.take_error().ok().flatten();
                    let error = error.unwrap_or_else(|| io::ErrorKind::ConnectionReset.into());
                    let event = End::event_of(&error, self.intake.partial_bytes() as u64);
                    let told = settings.judged(&self.peer, watch.broke(stream, blame()), event);
                    settings.say(&self.peer, &told);
                    self.broken = Some((error, told));
                }
            }
        }
        if held {
            watch.released(stream);
        }
        true
    }

    fn turn(&mut self) -> Turn {
        let mut left = self.settings.turn_bytes;
        self.watch.turn_begins();
        self.watch.replied(self.replying.take_written());
        while self.may_read() {
            let (stream, mut room) = (&self.stream, 0);
            let read = |buffer: &mut [u8]| {
                room = buffer.len();
                stream.try_read(buffer)
            };
            let discarded = self.intake.discarded_frames();
            let replying = &mut self.replying;
            let filled = match replying {
                Replying::Not => self.intake.fill(read),
                Replying::AtOnce(replies) => self.intake.fill_under(read, |batch| replies.note(batch)),
                Replying::Later(answers) => self.intake.fill_under(read, |batch| answers.note(batch)),
            };
            match filled {
                Filled::Read { bytes, frames } => {
                    self.bytes += bytes as u64;
                    self.watch.read(&self.stream, bytes, bytes == room);
                    let brought = Brought {
                        bytes,
                        frames,
                        total: self.bytes,
                    };
                    let whole = self.intake.discarded_frames() == discarded;
                    self.watch.replied(replying.answer(brought, whole, stream));
                    left = left.saturating_sub(bytes);
                    // A short read took all there was: what came travels on before the socket is asked again.
                    if left == 0 || bytes < room {
                        self.watch.turn_ends(bytes == room);
                        return Turn::Pause;
                    }
                }
                Filled::End => return Turn::Over(self.closed()),
                Filled::Failed(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.watch.turn_ends(false);
                    return Turn::Empty;
                }
                Filled::Failed(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Filled::Failed(error) => return Turn::Over(End::Failed(error)),
                Filled::Refused(error) => {
                    self.replying.refuse();
                    return Turn::Over(End::Refused(error));
                }
            }
        }
        self.watch.turn_ends(true);
        Turn::Pause
    }

    /// The end of the bytes. An error that a reply ran into was taken off the socket by it, so that reading sees a plain end.
    fn closed(&mut self) -> End {
        self.replying.failure().map_or(End::Closed, End::Failed)
    }

    fn may_read(&self) -> bool {
        self.intake.is_ready() && self.replying.may_read()
    }
}
