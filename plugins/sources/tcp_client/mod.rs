//! The source `tcp_client`: dials out, reads, and dials again after every end or reset.

mod saying;
#[cfg(test)]
mod tests;

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use aqueduct_framework::backoff::Backoff;
use aqueduct_framework::config::RetryConfig;
use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::plugin::{Awaits, Context, Feed, Source};
use aqueduct_framework::units::{ByteSize, Period};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::connection::{Connection, ReplyConfig, Settings};
use crate::net::{Buffers, Dial, Keepalive, checked};
use saying::{HeartbeatConfig, bytes_of};

/// Connects out and reads; dials again after every end or reset.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// Where to connect to, as host:port. The name is looked up at every attempt.
    address: String,
    /// How long an attempt to connect may take.
    #[serde(default = "connect_timeout")]
    #[schemars(extend("minimum" = 1))]
    connect_timeout: Period,
    /// How long it waits before it dials again.
    #[serde(default)]
    retry: RetryConfig,
    /// After this long without a word from the peer its kernel is asked whether it is still there; after three questions without an answer, a
    /// third of this apart, the connection counts as lost. `"0s"`: never.
    #[serde(default = "Keepalive::default_period")]
    #[schemars(extend("maximum" = 32_767_000))]
    keepalive: Period,
    /// The local address to dial from. Unset: the kernel chooses.
    bind: Option<std::net::IpAddr>,
    /// What to send when a connection begins, before anything is read, such as a login line. Unset: nothing.
    greeting: Option<String>,
    /// The same in hexadecimal digits, for bytes that are no text.
    greeting_hex: Option<String>,
    /// What to send now and then, for peers that close connections on which nothing comes. Not together with `reply`.
    heartbeat: Option<HeartbeatConfig>,
    /// A connection on which nothing comes for this long is closed, counted in `idle_closes`, and dialled again. Unset: never.
    #[schemars(extend("minimum" = 1))]
    idle_timeout: Option<Period>,
    /// What to answer, for peers that expect it: at once, or when a frame is durable or delivered.
    reply: Option<ReplyConfig>,
    /// Bytes read in one go before other actors of the thread get a turn.
    #[serde(default = "turn_bytes")]
    #[schemars(range(min = 4096))]
    turn_bytes: ByteSize,
    /// The kernel's receive buffer (`SO_RCVBUF`). Unset: the kernel tunes it, which is nearly always better.
    #[schemars(range(min = 1))]
    receive_buffer_bytes: Option<ByteSize>,
    /// The kernel's send buffer (`SO_SNDBUF`). Unset: the kernel tunes it.
    #[schemars(range(min = 1))]
    send_buffer_bytes: Option<ByteSize>,
}

const fn connect_timeout() -> Period {
    Period::seconds(5)
}

const fn turn_bytes() -> ByteSize {
    ByteSize::mib(1)
}

/// The plugin.
pub(super) struct TcpClient {
    greeting: Vec<u8>,
    dial: Dial,
    backoff: Backoff,
    settings: Rc<Settings>,
    context: Context,
}

impl Source for TcpClient {
    type Config = Config;
    const NAME: &'static str = "tcp_client";
    const SAMPLE: &'static str = include_str!("sample.toml");
    const WILL_NOT_WAIT: bool = true;

    fn new(config: Config, context: &Context) -> Result<Self> {
        // Shown as 0 from the start: their absence would look like an older version.
        for name in ["connects", "disconnects", "resets", "refused"] {
            context.counter(name);
        }
        if config.retry.give_up_after.is_some() {
            return Err(Error::fatal(
                "`retry.give_up_after` is for sinks: a source has no frames to give up; leave it out",
            ));
        }
        if config.heartbeat.is_some() && config.reply.is_some() {
            return Err(Error::fatal(
                "`heartbeat` and `reply` exclude each other: a heartbeat could fall into the middle of a reply; leave one of them out",
            ));
        }
        let heartbeat = config.heartbeat.map(HeartbeatConfig::checked).transpose()?;
        if heartbeat.is_some() {
            for name in ["heartbeats", "heartbeats_untaken"] {
                context.counter(name);
            }
        }
        Ok(Self {
            greeting: bytes_of("greeting", config.greeting, config.greeting_hex)?.unwrap_or_default(),
            dial: Dial::new(
                checked("address", config.address)?,
                config.connect_timeout.0,
                Buffers::new(config.receive_buffer_bytes, config.send_buffer_bytes),
            )
            .from(config.bind),
            backoff: Backoff::new(config.retry),
            settings: Settings::new(
                context,
                config.turn_bytes.bytes(),
                config.idle_timeout.map(Period::duration),
                Keepalive::new(config.keepalive),
                config.reply.as_ref(),
                true,
            )?
            .beating(heartbeat),
            context: context.clone(),
        })
    }

    fn awaits(&self) -> Awaits {
        self.settings.awaits()
    }

    async fn run(&mut self, feed: &Feed) -> Result<()> {
        let mut stopping = pin!(feed.stopping());
        loop {
            let dialled = tokio::select! {
                biased;
                () = &mut stopping => return Ok(()),
                dialled = self.dial.connect(&self.context) => dialled,
            };
            match dialled {
                Ok(mut stream) => {
                    let greeted = tokio::select! {
                        biased;
                        () = &mut stopping => return Ok(()),
                        greeted = self.greet(&mut stream) => greeted,
                    };
                    match greeted {
                        Ok(()) => self.read(stream, feed).await?,
                        Err(error) => self.note_failure(&error),
                    }
                }
                Err(error) => self.note_failure(&error),
            }
            tokio::select! {
                biased;
                () = &mut stopping => return Ok(()),
                () = tokio::time::sleep(self.pause()) => {}
            }
        }
    }
}

impl TcpClient {
    /// Says the greeting, whole.
    async fn greet(&self, stream: &mut TcpStream) -> Result<()> {
        let said = tokio::time::timeout(self.dial.timeout, stream.write_all(&self.greeting)).await;
        let limit = || std::io::Error::new(std::io::ErrorKind::TimedOut, "connect_timeout passed");
        said.unwrap_or_else(|_| Err(limit())).map_err(|error| {
            let what = format!("{} did not take the greeting", self.dial.address);
            Error::unavailable(what).because(error)
        })
    }

    async fn read(&mut self, stream: TcpStream, feed: &Feed) -> Result<()> {
        let (actor, address) = (&self.context.actor, &self.dial.address);
        self.context.counter("connects").add(1);
        self.context.say("state", format!("connected to {address}"));
        tracing::info!(%actor, "connected to {address}");
        self.settings.flight.connected(address);
        let connection = Connection::new(stream, feed, &self.settings)?;
        let (told, bytes) = connection.run(feed).await;
        // A peer that accepts and closes at once must not be dialled without a pause.
        if bytes > 0 {
            self.backoff.reset();
        }
        let sentence = &told.verdict.sentence;
        self.context
            .say("state", format!("not connected to {address}: {sentence}"));
        Ok(())
    }

    /// Counted every time, said once per outage.
    fn note_failure(&self, error: &Error) {
        let refused = error
            .io()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused);
        self.context
            .counter(if refused { "refused" } else { "failed_dials" })
            .add(1);
        self.context.counter(error.failure().counter()).add(1);
        self.context.say("state", format!("not connected: {error}"));
        let told = self.settings.flight.failed(&self.dial.address, error);
        if let Some(told) = told
            && let Some(line) = told.line()
        {
            tracing::warn!(actor = %self.context.actor, cause = %told.verdict.cause, "{line}; it is dialled again until it answers");
        }
    }

    fn pause(&mut self) -> Duration {
        self.backoff.next(fastrand::f64())
    }
}
