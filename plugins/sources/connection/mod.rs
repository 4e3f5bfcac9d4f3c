//! One TCP connection that is read: what the sources `tcp_client` and `tcp_server` do with a connection once they have it.
//!
//! A turn reads until nothing is there, until the turn's byte budget is used up (against a fast sender "until nothing is there" has no
//! end), or until the actor downstream takes no more. Between turns other connections, and the other actors of the thread, run.

mod end;
mod reply;
mod watch;

use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use aqueduct_framework::batch::Attributes;
use aqueduct_framework::error::Result;
use aqueduct_framework::plugin::{Context, Feed, Filled, Intake};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

pub(super) use end::End;
use reply::Replies;
pub(super) use reply::ReplyConfig;
use watch::Watch;

/// What all connections of a source share.
pub(super) struct Settings {
    context: Context,
    turn_bytes: usize,
    idle_timeout: Option<Duration>,
    reply: Option<reply::Template>,
}

impl Settings {
    /// # Errors
    /// When the reply's template has an unknown placeholder.
    pub(super) fn new(
        context: &Context,
        turn_bytes: u64,
        idle_timeout: Option<Duration>,
        reply: Option<&ReplyConfig>,
    ) -> Result<Rc<Self>> {
        Ok(Rc::new(Self {
            context: context.clone(),
            turn_bytes: usize::try_from(turn_bytes).unwrap_or(usize::MAX),
            idle_timeout,
            reply: reply.map(reply::Template::new).transpose()?,
        }))
    }
}

/// A connection and the stream of frames that its bytes become.
pub(super) struct Connection {
    stream: TcpStream,
    intake: Intake,
    replies: Option<Replies>,
    watch: Watch,
    settings: Rc<Settings>,
    bytes: u64,
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
            .map_or_else(|_| "unknown".to_owned(), |peer| peer.to_string());
        let attributes = Attributes::of_batch([("peer.address".to_owned(), peer)]);
        let replies = settings
            .reply
            .clone()
            .map(|template| Replies::new(template, &settings.context));
        Ok(Self {
            stream,
            intake: feed.stream(attributes)?,
            replies,
            watch: Watch::new(&settings.context),
            settings: settings.clone(),
            bytes: 0,
        })
    }

    /// Reads until the connection ends or `feed` stops. Returns how it ended, and how many bytes came.
    pub(super) async fn run(mut self, feed: &Feed) -> (End, u64) {
        let end = self.read(feed).await;
        end.count(&self.settings.context);
        if matches!(end, End::Closed) {
            self.intake.finish();
        }
        (end, self.bytes)
    }

    async fn read(&mut self, feed: &Feed) -> End {
        let mut stopping = pin!(feed.stopping());
        let mut idle = pin!(sleep_until(Instant::now()));
        loop {
            tokio::select! {
                biased;
                () = &mut stopping => return End::Stopping,
                () = self.intake.ready() => {}
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
                if quiet_since.elapsed() >= limit {
                    return End::Idle(limit);
                }
                idle.as_mut().reset(quiet_since + limit);
            }
            match self.turn() {
                Turn::Empty => {}
                Turn::Pause => tokio::task::yield_now().await,
                Turn::Over(end) => return end,
            }
        }
    }

    fn turn(&mut self) -> Turn {
        let mut left = self.settings.turn_bytes;
        self.watch.turn_begins();
        while self.intake.is_ready() {
            let (stream, mut room) = (&self.stream, 0);
            let filled = self.intake.fill(|buffer| {
                room = buffer.len();
                stream.try_read(buffer)
            });
            match filled {
                Filled::Read { bytes, frames } => {
                    self.bytes += bytes as u64;
                    self.watch.read(&self.stream, bytes, bytes == room);
                    if let Some(replies) = &mut self.replies {
                        replies.answer(bytes, frames, self.bytes, |reply| stream.try_write(reply));
                    }
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
                Filled::Refused(error) => return Turn::Over(End::Refused(error)),
            }
        }
        self.watch.turn_ends(true);
        Turn::Pause
    }

    /// The end of the bytes. An error that a reply ran into was taken off the socket by it, so that reading sees a plain end.
    fn closed(&mut self) -> End {
        let failure = self.replies.as_mut().and_then(Replies::failure);
        failure.map_or(End::Closed, End::Failed)
    }
}
