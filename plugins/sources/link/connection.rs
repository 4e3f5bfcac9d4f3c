//! One connection of a sender, from its first word to its end.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use aqueduct_framework::flight::{Errno, Event, Ours};
use aqueduct_framework::plugin::{Feed, Partial};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Shared;
use super::line::Line;
use super::taking::{Entered, acknowledge};
use crate::link::{Fault, Hello, Message, Messages, Reason, VERSION, Welcome};
use crate::net::{Told, is_reset, take_leave};
use crate::sources::connection::watch::Watch;

/// A sender that is sent away has so long to hear why.
const FAREWELL: Duration = Duration::from_secs(1);

/// A connection, and what it has said.
pub(super) struct Connection {
    pub(super) stream: Rc<TcpStream>,
    pub(super) peer: String,
    pub(super) messages: Messages,
    /// What of a message has come that has not come whole.
    pub(super) partial: Partial,
    pub(super) shared: Rc<Shared>,
    pub(super) feed: Feed,
    pub(super) watch: Watch,
}

/// Why a connection ended.
pub(super) enum End {
    /// The sender's FIN.
    Closed,
    Failed(io::Error),
    /// What it said makes no sense, or is not wanted.
    Refused(Reason, String),
    /// Another connection brings the stream, or the store takes nothing more.
    Replaced,
    Stopping,
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        Self::Refused(fault.reason(), fault.to_string())
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl Connection {
    pub(super) fn new(stream: TcpStream, peer: SocketAddr, shared: Rc<Shared>, feed: Feed) -> Self {
        // Without these it is only slower, or a sender that vanishes is missed only later.
        let _ = stream.set_nodelay(true);
        let _ = shared.keepalive.apply(&stream);
        Self {
            watch: Watch::new(&shared.context, &stream, false),
            messages: Messages::new(shared.max_message_bytes),
            partial: feed.partial(),
            peer: peer.to_string(),
            stream: Rc::new(stream),
            shared,
            feed,
        }
    }

    /// Until it ends.
    pub(super) async fn run(mut self) {
        let end = match self.greet().await {
            Ok(entered) => {
                let over = Rc::default();
                let shared = self.shared.clone();
                let acknowledging = acknowledge(&shared, self.stream.clone(), &entered, Rc::clone(&over));
                // Neither half is dropped before the other has ended: frames in hand would be lost to those behind them.
                let (end, ()) = tokio::join!(self.take(&entered, over), acknowledging);
                entered.line.leave();
                end
            }
            Err(end) => end,
        };
        self.end(&end).await;
    }

    /// Hears who it is, and answers.
    async fn greet(&mut self) -> Result<Entered, End> {
        let (limit, feed) = (self.shared.hello_timeout, self.feed.clone());
        let hello = tokio::select! {
            biased;
            () = feed.stopping() => return Err(End::Stopping),
            hello = timeout(limit, self.hello()) => hello,
        };
        let late = |_| {
            End::Refused(
                Reason::Garbage,
                "it did not introduce itself within `hello_timeout`".to_owned(),
            )
        };
        let hello = hello.map_err(late)??;
        let line = self.enter(&hello)?;
        let (number, sequence) = {
            let mut incoming = line.incoming.borrow_mut();
            (incoming.connected(), incoming.sequence())
        };
        line.replaced.notify_waiters();
        let welcome = Message::Welcome(Welcome {
            version: VERSION,
            sequence,
            longest: u32::try_from(self.shared.max_message_bytes).unwrap_or(u32::MAX),
        });
        let stream = hello.stream;
        let entered = Entered {
            stream,
            line,
            streams: self.feed.streams().clone(),
            number,
        };
        if let Err(error) = send(&self.stream, &welcome).await {
            entered.line.leave();
            return Err(error.into());
        }
        let heard = self.shared.hear_linked();
        if heard.aloud() {
            tracing::info!(actor = %self.shared.context.actor, peer = %self.peer, %stream, "linked: frames below {sequence} are here, the sender has those from {} on{heard}", hello.first);
        }
        Ok(entered)
    }

    fn enter(&self, hello: &Hello) -> Result<Rc<Line>, End> {
        if hello.lowest > VERSION || hello.highest < VERSION {
            let (lowest, highest) = (hello.lowest, hello.highest);
            let why = format!(
                "the sender speaks versions {lowest} to {highest} of the link protocol, the receiver {VERSION}; use programs that have one in common"
            );
            return Err(End::Refused(Reason::Version, why));
        }
        let (shared, most) = (&self.shared, self.shared.max_streams);
        let mut lines = shared.lines.borrow_mut();
        let line = lines.enter(hello.stream, most, self.feed.streams(), &shared.context);
        line.ok_or_else(|| {
            let why = format!(
                "max_streams = {most} are connected already; raise it at the receiver if this one is wanted too"
            );
            End::Refused(Reason::Streams, why)
        })
    }

    async fn hello(&mut self) -> Result<Hello, End> {
        loop {
            match self.messages.cut() {
                Ok(Some(Message::Hello(hello))) => return Ok(hello),
                Ok(Some(_)) | Err(_) => return Err(Fault::NoLink.into()),
                Ok(None) => {}
            }
            self.stream.readable().await?;
            let read = self.read()?;
            self.watch.turn_ends(false);
            if read == Some(0) {
                return Err(End::Closed);
            }
        }
    }

    /// Reads once what is there; none when nothing is.
    pub(super) fn read(&mut self) -> io::Result<Option<usize>> {
        let room = self.messages.room();
        let space = room.capacity() - room.len();
        match self.stream.try_read_buf(room) {
            // A FIN; nothing was read, so the silence before it goes on.
            Ok(0) => Ok(Some(0)),
            Ok(bytes) => {
                self.watch.read(&self.stream, bytes, bytes == space);
                Ok(Some(bytes))
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn end(&mut self, end: &End) {
        let partial_bytes = self.messages.partial_bytes() as u64;
        // Others may have the room while this one hears why.
        self.messages = Messages::new(0);
        self.partial = self.feed.partial();
        let context = &self.shared.context;
        context.counter("disconnects").add(1);
        let event = match end {
            End::Closed => Event::Finished { partial_bytes },
            End::Failed(error) => {
                context.counter("resets").add(u64::from(is_reset(error)));
                let errno = Errno::from(error);
                Event::Failed { errno, partial_bytes }
            }
            End::Refused(_, why) => Event::Ours(Ours::Refused { reason: why.clone() }),
            End::Replaced => Event::Ours(Ours::Refused {
                reason: "another connection brings its stream, or the store takes nothing more".to_owned(),
            }),
            End::Stopping => Event::Ours(Ours::Stopping),
        };
        let recorded = self.watch.end(&self.stream, matches!(end, End::Failed(_)));
        let flight = &self.shared.flight;
        let told = flight.judged_reading((&self.peer, &self.peer), recorded, event);
        self.say(&told);
        match end {
            End::Refused(reason, why) => {
                context.counter("connections_refused").add(1);
                self.farewell(*reason, why).await;
            }
            End::Stopping => self.farewell(Reason::Ending, "the receiver's pipeline ends").await,
            _ => {}
        }
    }

    /// Says it in the log, unless it was said often enough.
    pub(super) fn say(&self, told: &Told) {
        let (actor, peer, cause) = (&self.shared.context.actor, &self.peer, told.verdict.cause);
        match told.line() {
            Some(line) if cause.is_trouble() => tracing::warn!(%actor, %peer, %cause, "{line}"),
            Some(line) => tracing::info!(%actor, %peer, %cause, "{line}"),
            None => {}
        }
    }

    /// Tells the sender why, and lets it read that.
    async fn farewell(&mut self, reason: Reason, why: &str) {
        let refused = Message::Refused {
            reason: reason as u8,
            text: why.to_owned(),
        };
        // Whoever does not hear it in time finds the connection closed.
        let _ = timeout(FAREWELL, async {
            send(&self.stream, &refused).await?;
            take_leave(&self.stream).await
        })
        .await;
    }
}

/// Sends a short message whole.
pub(super) async fn send(stream: &TcpStream, message: &Message) -> io::Result<()> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    let mut sent = 0;
    while sent < bytes.len() {
        stream.writable().await?;
        match stream.try_write(&bytes[sent..]) {
            Ok(written) => sent += written,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
