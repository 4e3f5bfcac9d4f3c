//! The source `link`: listens for the sinks `link` of other Aqueducts, and takes every frame of theirs exactly once into the store behind it.

mod connection;
mod line;
mod taking;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::flight::{Heard, Repeats};
use aqueduct_framework::plugin::{Context, Feed, Source};
use aqueduct_framework::units::{ByteSize, Period};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::task::{JoinError, JoinSet};

use crate::net::{Buffers, Flight, Keepalive, Listen, checked_to_listen};
use connection::Connection;
use line::Lines;

/// Takes the frames of other Aqueducts, each exactly once; feeds one store with `persist = "always"` directly.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// Where to listen, as host:port. With port 0 the kernel chooses one; `status` shows it.
    listen: String,
    /// How many streams (sending stores) are kept in mind, and connected at the same time. For one more the stream that was silent for longest is forgotten; if
    /// it comes back, frames of it may come twice. While all are connected a new one is refused.
    #[serde(default = "max_streams")]
    #[schemars(range(max = 100_000))]
    max_streams: NonZeroUsize,
    /// The longest message: at least the longest frame with its attributes, and 256 KiB.
    #[serde(default = "max_message_bytes")]
    #[schemars(range(min = 262_144, max = 1_073_741_824))]
    max_message_bytes: ByteSize,
    /// How long a new connection may take to introduce itself; more than 0.
    #[serde(default = "hello_timeout")]
    hello_timeout: Period,
    /// After this long without a word from the sender its kernel is asked whether it is still there; after three questions without an answer, a
    /// third of this apart, the connection counts as lost. `"0s"`: never.
    #[serde(default = "Keepalive::default_period")]
    #[schemars(extend("maximum" = 32_767_000))]
    keepalive: Period,
    /// The kernel's receive buffer of each connection (`SO_RCVBUF`). Unset: the kernel tunes it.
    #[schemars(range(min = 1))]
    receive_buffer_bytes: Option<ByteSize>,
    /// The kernel's send buffer of each connection (`SO_SNDBUF`). Unset: the kernel tunes it.
    #[schemars(range(min = 1))]
    send_buffer_bytes: Option<ByteSize>,
}

fn max_streams() -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(1023)
}

const fn max_message_bytes() -> ByteSize {
    ByteSize::mib(64)
}

const fn hello_timeout() -> Period {
    Period::seconds(5)
}

/// What all connections of the source share.
struct Shared {
    context: Context,
    max_message_bytes: usize,
    max_streams: usize,
    hello_timeout: Duration,
    keepalive: Keepalive,
    flight: Flight,
    lines: RefCell<Lines>,
    began: Instant,
    /// Of senders that are linked.
    linked: RefCell<Repeats<()>>,
}

/// The plugin.
pub(super) struct Link {
    listen: Listen,
    shared: Rc<Shared>,
}

impl Source for Link {
    type Config = Config;
    const NAME: &'static str = "link";
    const SAMPLE: &'static str = include_str!("sample.toml");
    const LISTENS: &'static [&'static str] = &["listen"];
    const FEEDS_STORE: bool = true;

    fn new(config: Config, context: &Context) -> Result<Self> {
        let hello_timeout = config.hello_timeout.duration();
        if hello_timeout.is_zero() {
            return Err(Error::fatal(
                "`hello_timeout` must be more than 0s, or no sender could introduce itself",
            ));
        }
        for name in [
            "connects",
            "disconnects",
            "resets",
            "connections_refused",
            "frames_repeated",
            "frames_missing",
            "frames_refused",
            "streams_forgotten",
        ] {
            context.counter(name);
        }
        let max_message_bytes = usize::try_from(config.max_message_bytes.bytes());
        Ok(Self {
            listen: Listen {
                address: checked_to_listen("listen", config.listen)?,
                buffers: Buffers::new(config.receive_buffer_bytes, config.send_buffer_bytes),
            },
            shared: Rc::new(Shared {
                context: context.clone(),
                max_message_bytes: max_message_bytes
                    .map_err(|_| Error::fatal("`max_message_bytes` is more than this machine can address"))?,
                max_streams: config.max_streams.get(),
                hello_timeout,
                keepalive: Keepalive::new(config.keepalive),
                flight: Flight::accepting(context),
                lines: RefCell::default(),
                began: Instant::now(),
                linked: RefCell::default(),
            }),
        })
    }

    fn open_files(&self) -> u64 {
        (self.shared.max_connections() as u64).saturating_add(LISTENERS + 1)
    }

    async fn run(&mut self, feed: &Feed) -> Result<()> {
        let (shared, context) = (&self.shared, &self.shared.context);
        let mut stopping = pin!(feed.stopping());
        tokio::select! {
            () = &mut stopping => return Ok(()),
            () = shared.at_rest() => {}
        }
        context.gauge("streams").set(feed.streams().len() as u64);
        let listener = tokio::select! {
            () = &mut stopping => return Ok(()),
            listener = self.listen.bind(context) => listener?,
        };
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = &mut stopping => break,
                Some(ended) = connections.join_next() => shared.note_end(ended, connections.len()),
                (stream, peer) = listener.accept() => if connections.len() < shared.max_connections() {
                    context.counter("connects").add(1);
                    let connection = Connection::new(stream, peer, shared.clone(), feed.clone());
                    connections.spawn_local(connection.run());
                    context.gauge("connections").set(connections.len() as u64);
                } else {
                    shared.refused(&peer.to_string(), "as many connections as `max_streams` allows have not ended");
                }
            }
        }
        drop(listener);
        while let Some(ended) = connections.join_next().await {
            shared.note_end(ended, connections.len());
        }
        Ok(())
    }
}

/// `localhost` and `*` listen twice.
const LISTENERS: u64 = 2;

/// Connections that are replaced, or have not introduced themselves, come on top of those of the streams.
const SPARE_CONNECTIONS: usize = 64;

impl Shared {
    fn max_connections(&self) -> usize {
        self.max_streams.saturating_add(SPARE_CONNECTIONS)
    }

    /// Waits until the store has settled what an instance before this one gave to it: how far the streams are is known only then.
    async fn at_rest(&self) {
        // Looked at again and again, because meters ring for nobody: it is only after a restart of the source, and lasts as long as a commit.
        let (given, settled) = (&self.context.meters.frames_in, self.context.counter("settled"));
        while settled.get() < given.get() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Whether the log should say that another sender is linked: whenever their number doubles, until there was peace.
    fn hear_linked(&self) -> Heard {
        let at_ms = self.began.elapsed().as_millis() as u64;
        self.linked.borrow_mut().note(at_ms, ())
    }

    /// Somebody is sent away. Said aloud whenever the number doubles.
    fn refused(&self, peer: &str, why: &str) {
        let refused = self.context.counter("connections_refused");
        refused.add(1);
        if refused.get().is_power_of_two() {
            tracing::warn!(actor = %self.context.actor, peer, total = refused.get(), "a connection is refused: {why}");
        }
    }

    /// A panic in a connection is one of the source: the actor that hosts it decides.
    fn note_end(&self, ended: Result<(), JoinError>, left: usize) {
        self.context.gauge("connections").set(left as u64);
        if let Err(error) = ended
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}
