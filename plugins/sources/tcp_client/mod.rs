//! The source `tcp_client`: dials out, reads, and dials again after every end or reset.

#[cfg(test)]
mod tests;

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use aqueduct_framework::backoff::Backoff;
use aqueduct_framework::config::RetryConfig;
use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::plugin::{Context, Feed, Source};
use aqueduct_framework::units::{ByteSize, Period};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::net::TcpStream;

use super::connection::{Connection, ReplyConfig, Settings};
use crate::net::{Buffers, Dial, Keepalive, checked};

/// Connects out and reads; dials again after every end or reset.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// Where to connect to, as host:port. The name is looked up at every attempt.
    address: String,
    /// How long an attempt to connect may take.
    #[serde(default = "connect_timeout")]
    connect_timeout: Period,
    /// How long it waits before it dials again.
    #[serde(default)]
    retry: RetryConfig,
    /// After this long without a word from the peer its kernel is asked whether it is still there; after three questions without an answer, a
    /// third of this apart, the connection counts as lost. `"0s"`: never.
    #[serde(default = "Keepalive::default_period")]
    keepalive: Period,
    /// What to answer, for peers that expect it. A reply never waits: what the peer does not take is counted in `replies_untaken`.
    reply: Option<ReplyConfig>,
    /// Bytes read in one go before other actors of the thread get a turn.
    #[serde(default = "turn_bytes")]
    #[schemars(range(min = 4096))]
    turn_bytes: ByteSize,
    /// The kernel's receive buffer (`SO_RCVBUF`). Unset: the kernel tunes it, which is nearly always better.
    receive_buffer_bytes: Option<ByteSize>,
    /// The kernel's send buffer (`SO_SNDBUF`). Unset: the kernel tunes it.
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
        Ok(Self {
            dial: Dial {
                address: checked("address", config.address)?,
                timeout: config.connect_timeout.0,
                buffers: Buffers::new(config.receive_buffer_bytes, config.send_buffer_bytes),
            },
            backoff: Backoff::new(config.retry),
            settings: Settings::new(
                context,
                config.turn_bytes.bytes(),
                None,
                Keepalive::new(config.keepalive),
                config.reply.as_ref(),
                true,
            )?,
            context: context.clone(),
        })
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
                Ok(stream) => self.read(stream, feed).await?,
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
