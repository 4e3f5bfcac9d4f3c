//! The sink `link`: sends the frames of the store in front of it to the source `link` of another Aqueduct, each exactly once.

mod connection;
#[cfg(test)]
mod tests;

use std::rc::Rc;
use std::time::Duration;

use aqueduct_framework::batch::Position;
use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::plugin::{Acknowledgement, Context, Delivery, LastAcknowledged, Sink, StoreUse};
use aqueduct_framework::units::{ByteSize, Period};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::Notify;

use crate::link::HEARTBEAT;
use crate::net::{Buffers, Dial, Flight, Keepalive, checked};
use connection::Connection;

/// One word of the receiver may come late.
const SHORTEST_ACK_TIMEOUT: Duration = HEARTBEAT.saturating_mul(2);

/// Sends frames to the source `link` of another Aqueduct, each exactly once; stands directly behind a store with `persist = "always"`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// Where the other Aqueduct listens, as host:port. The name is looked up at every attempt.
    address: String,
    /// How long an attempt to connect may take, and then the receiver's welcome.
    #[serde(default = "connect_timeout")]
    #[schemars(extend("minimum" = 1))]
    connect_timeout: Period,
    /// While frames are not acknowledged the receiver says every 5 s that it lives. After this long without a word, 10 s or more, the connection is given up, and another one tried.
    #[serde(default = "ack_timeout")]
    ack_timeout: Period,
    /// After this long without a word from the receiver its kernel is asked whether it is still there; after three questions without an answer,
    /// a third of this apart, the connection counts as lost. `"0s"`: never.
    #[serde(default = "Keepalive::default_period")]
    #[schemars(extend("maximum" = 32_767_000))]
    keepalive: Period,
    /// The kernel's receive buffer (`SO_RCVBUF`). Unset: the kernel tunes it.
    #[schemars(range(min = 1))]
    receive_buffer_bytes: Option<ByteSize>,
    /// The kernel's send buffer (`SO_SNDBUF`). Unset: the kernel tunes it.
    #[schemars(range(min = 1))]
    send_buffer_bytes: Option<ByteSize>,
}

const fn connect_timeout() -> Period {
    Period::seconds(5)
}

const fn ack_timeout() -> Period {
    Period::seconds(30)
}

/// The plugin.
pub(super) struct Link {
    dial: Dial,
    ack_timeout: Duration,
    keepalive: Keepalive,
    flight: Rc<Flight>,
    signal: Rc<Notify>,
    connection: Option<Connection>,
    /// Where the frames written last began; between two connections the first frame that is not acknowledged. What the store calls its positions is known with
    /// its first batch.
    from: Option<Position>,
    context: Context,
}

impl Sink for Link {
    type Config = Config;
    const NAME: &'static str = "link";
    const SAMPLE: &'static str = include_str!("sample.toml");

    fn new(config: Config, context: &Context) -> Result<Self> {
        let ack_timeout = config.ack_timeout.duration();
        if ack_timeout < SHORTEST_ACK_TIMEOUT {
            return Err(Error::fatal(format!(
                "`ack_timeout` must be {} or more: a receiver says only every {} that it lives",
                humantime::format_duration(SHORTEST_ACK_TIMEOUT),
                humantime::format_duration(HEARTBEAT)
            )));
        }
        for name in ["frames_skipped", "refusals"] {
            context.counter(name);
        }
        Ok(Self {
            dial: Dial::new(
                checked("address", config.address)?,
                config.connect_timeout.duration(),
                Buffers::new(config.receive_buffer_bytes, config.send_buffer_bytes),
            ),
            ack_timeout,
            keepalive: Keepalive::new(config.keepalive),
            flight: Rc::new(Flight::dialling(context)),
            signal: Rc::default(),
            connection: None,
            from: None,
            context: context.clone(),
        })
    }

    async fn open(&mut self) -> Result<()> {
        if let (Some(connection), Some(from)) = (self.connection.take(), &mut self.from) {
            from.first = connection.first_kept(from.first);
        }
        match self.from {
            Some(position) => self.connect(position).await,
            None => {
                self.context.say("state", "connects when the first frame comes");
                Ok(())
            }
        }
    }

    async fn write(&mut self, delivery: &mut Delivery) -> Result<()> {
        let position = delivery.batch().position.ok_or_else(|| {
            Error::fatal("a batch has no position: `link` must stand directly behind a store with persist = \"always\"")
        })?;
        let position = position.behind(delivery.frames_written());
        self.from = Some(position);
        if self.connection.is_none() {
            self.connect(position).await?;
        }
        match &mut self.connection {
            Some(connection) => connection.write(position, delivery).await,
            None => Err(not_open()),
        }
    }

    async fn watch(&mut self) -> Error {
        match &mut self.connection {
            Some(connection) => connection.watch().await,
            None => std::future::pending().await,
        }
    }

    fn store_use(&self) -> StoreUse {
        StoreUse::Positions
    }

    fn acknowledgement(&self) -> Acknowledgement {
        Acknowledgement::Later { resend_bytes: 0 }
    }

    fn acknowledged_bytes(&self) -> u64 {
        self.connection.as_ref().map_or(0, Connection::acknowledged_frames)
    }

    fn acknowledged_signal(&self) -> Option<Rc<Notify>> {
        Some(self.signal.clone())
    }

    async fn last_acknowledged(&mut self) -> LastAcknowledged {
        // What is under way now, the next WELCOME tells.
        LastAcknowledged {
            bytes: self.acknowledged_bytes(),
            orderly: true,
        }
    }

    async fn close(&mut self) -> Result<()> {
        match &mut self.connection {
            Some(connection) => connection.close().await,
            None => Ok(()),
        }
    }
}

impl Link {
    /// Connects, and hears what the receiver has of the stream of this position.
    async fn connect(&mut self, position: Position) -> Result<()> {
        let stream = self.dial.connect_noted(&self.flight, &self.context).await?;
        self.context.say(
            "state",
            format!("connected to {}, which has not said its welcome yet", self.dial.address),
        );
        // Without it a receiver that vanishes is missed only later.
        let _ = self.keepalive.apply(&stream);
        let mut connection = Connection::new(
            stream,
            self.dial.address.clone(),
            (self.dial.timeout, self.ack_timeout),
            (&self.flight, &self.signal),
            &self.context,
        );
        connection.greet(position).await?;
        self.connection = Some(connection);
        Ok(())
    }
}

fn not_open() -> Error {
    Error::unavailable("not connected yet")
}
