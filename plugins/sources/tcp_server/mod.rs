//! The source `tcp_server`: listens, and reads all its connections side by side.

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::rc::Rc;

use aqueduct_framework::error::Result;
use aqueduct_framework::plugin::{Awaits, Context, Feed, Source};
use aqueduct_framework::units::{ByteSize, Period};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::task::{JoinError, JoinSet};

use super::connection::{Connection, ReplyConfig, Settings};
use crate::net::{Buffers, Keepalive, Listen, checked_to_listen};

/// Listens, and reads from every client that connects.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// Where to listen, as host:port; `localhost` and `*` are both families. With port 0 the kernel chooses one; `status` shows it.
    listen: String,
    /// Connections at the same time. Past it new ones are accepted and closed at once, and counted in `connections_refused`.
    #[serde(default = "max_connections")]
    max_connections: NonZeroUsize,
    /// A connection that sends nothing for this long is closed. Unset: never.
    #[schemars(extend("minimum" = 1))]
    idle_timeout: Option<Period>,
    /// After this long without a word from the client its kernel is asked whether it is still there; after three questions without an answer, a
    /// third of this apart, the connection counts as lost. `"0s"`: never.
    #[serde(default = "Keepalive::default_period")]
    #[schemars(extend("maximum" = 32_767_000))]
    keepalive: Period,
    /// What to answer, for peers that expect it: at once, or when a frame is durable or delivered.
    reply: Option<ReplyConfig>,
    /// Bytes read from one connection in one go before the others get a turn.
    #[serde(default = "turn_bytes")]
    #[schemars(range(min = 4096))]
    turn_bytes: ByteSize,
    /// The kernel's receive buffer of each connection (`SO_RCVBUF`). Unset: the kernel tunes it, which is nearly always better.
    #[schemars(range(min = 1))]
    receive_buffer_bytes: Option<ByteSize>,
    /// The kernel's send buffer of each connection (`SO_SNDBUF`). Unset: the kernel tunes it.
    #[schemars(range(min = 1))]
    send_buffer_bytes: Option<ByteSize>,
}

fn max_connections() -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(1023)
}

/// `localhost` and `*` listen twice.
const LISTENERS: u64 = 2;

const fn turn_bytes() -> ByteSize {
    ByteSize::mib(1)
}

/// The plugin.
pub(super) struct TcpServer {
    listen: Listen,
    max_connections: usize,
    settings: Rc<Settings>,
    context: Context,
}

impl Source for TcpServer {
    type Config = Config;
    const NAME: &'static str = "tcp_server";
    const SAMPLE: &'static str = include_str!("sample.toml");
    const LISTENS: &'static [&'static str] = &["listen"];
    const WILL_NOT_WAIT: bool = true;

    fn new(config: Config, context: &Context) -> Result<Self> {
        for name in ["connects", "disconnects", "resets", "connections_refused"] {
            context.counter(name);
        }
        let idle_timeout = config.idle_timeout.map(Period::duration);
        Ok(Self {
            listen: Listen {
                address: checked_to_listen("listen", config.listen)?,
                buffers: Buffers::new(config.receive_buffer_bytes, config.send_buffer_bytes),
            },
            max_connections: config.max_connections.get(),
            settings: Settings::new(
                context,
                config.turn_bytes.bytes(),
                idle_timeout,
                Keepalive::new(config.keepalive),
                config.reply.as_ref(),
                false,
            )?,
            context: context.clone(),
        })
    }

    fn open_files(&self) -> u64 {
        // One more is accepted before it is closed.
        (self.max_connections as u64).saturating_add(LISTENERS + 1)
    }

    fn awaits(&self) -> Awaits {
        self.settings.awaits()
    }

    async fn run(&mut self, feed: &Feed) -> Result<()> {
        let mut stopping = pin!(feed.stopping());
        let listener = tokio::select! {
            () = &mut stopping => return Ok(()),
            listener = self.listen.bind(&self.context) => listener?,
        };
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = &mut stopping => break,
                Some(ended) = connections.join_next() => self.note_end(ended, connections.len()),
                (stream, peer) = listener.accept() => self.admit(stream, peer, feed, &mut connections)?,
            }
        }
        drop(listener);
        while let Some(ended) = connections.join_next().await {
            self.note_end(ended, connections.len());
        }
        Ok(())
    }
}

impl TcpServer {
    fn admit(&self, stream: TcpStream, peer: SocketAddr, feed: &Feed, connections: &mut JoinSet<()>) -> Result<()> {
        if connections.len() >= self.max_connections {
            let refused = self.context.counter("connections_refused");
            refused.add(1);
            if refused.get().is_power_of_two() {
                tracing::warn!(actor = %self.context.actor, total = refused.get(),
                    "{peer} is refused: max_connections = {} are open; raise it if they are all wanted", self.max_connections);
            }
            return Ok(());
        }
        self.context.counter("connects").add(1);
        let connection = Connection::new(stream, feed, &self.settings)?;
        let feed = feed.clone();
        connections.spawn_local(async move {
            connection.run(&feed).await;
        });
        self.context.gauge("connections").set(connections.len() as u64);
        Ok(())
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
