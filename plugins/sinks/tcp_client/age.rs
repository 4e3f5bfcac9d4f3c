//! `max_connection_age`: a connection that is old enough is ended in order, and another made.

use std::time::Duration;

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::plugin::Context;
use aqueduct_framework::telemetry::Counter;
use aqueduct_framework::units::Period;
use tokio::time::{Instant, sleep_until};

use super::super::connection::Connection;

/// Connections that live shorter are no connections.
const SHORTEST: Duration = Duration::from_secs(1);

/// The share of the age that is drawn at random.
const JITTER: f64 = 0.1;

pub(super) struct Age {
    max: Option<Duration>,
    /// When the connection is old enough.
    ends: Option<Instant>,
    renewed: Counter,
}

impl Age {
    /// # Errors
    /// When it is shorter than a second.
    pub(super) fn new(max: Option<Period>, context: &Context) -> Result<Self> {
        let max = max.map(Period::duration);
        if max.is_some_and(|max| max < SHORTEST) {
            return Err(Error::fatal("`max_connection_age` must be 1s or more"));
        }
        Ok(Self {
            max,
            ends: None,
            renewed: context.counter("connections_renewed"),
        })
    }

    /// A connection begins.
    pub(super) fn begins(&mut self) {
        let age = |max: Duration| max.mul_f64(1.0 - JITTER * fastrand::f64());
        self.ends = self.max.map(|max| Instant::now() + age(max));
    }

    pub(super) fn is_reached(&self) -> bool {
        self.ends.is_some_and(|ends| ends <= Instant::now())
    }

    /// Resolves when the connection is old enough; never without a limit. Cancel-safe.
    pub(super) async fn reached(&self) {
        match self.ends {
            Some(ends) => sleep_until(ends).await,
            None => std::future::pending().await,
        }
    }

    /// Ends the connection in order. Within `linger` the peer may take what was written, and answer it; what it has not then comes again where
    /// `acknowledge` says so. May be called again after it was cancelled.
    pub(super) async fn end(&self, connection: &mut Connection, linger: Duration) -> Error {
        if let Err(gone) = connection.settle(linger).await {
            return gone;
        }
        // What was not taken within that time is the sender's to know: it asks what was acknowledged.
        let _ = connection.close(linger).await;
        self.renewed.add(1);
        Error::unavailable("the connection has reached max_connection_age").renewed()
    }
}
