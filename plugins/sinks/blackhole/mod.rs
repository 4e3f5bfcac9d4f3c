//! The sink `blackhole`: takes everything, at a rate if wished, and forgets it. For trials.

#[cfg(test)]
mod tests;

use std::time::Duration;

use aqueduct_framework::error::Result;
use aqueduct_framework::plugin::{Context, Delivery, Sink};
use aqueduct_framework::units::ByteSize;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::{Instant, sleep_until};

/// Takes everything and keeps nothing: for trials.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// Bytes per second it takes at most, framing included. Unset: as fast as they come.
    #[schemars(range(min = 1))]
    rate: Option<ByteSize>,
}

/// The plugin.
pub(super) struct Blackhole {
    rate: Option<f64>,
    free_at: Instant,
}

impl Sink for Blackhole {
    type Config = Config;
    const NAME: &'static str = "blackhole";
    const SAMPLE: &'static str = include_str!("sample.toml");

    fn new(config: Config, _: &Context) -> Result<Self> {
        Ok(Self {
            rate: config.rate.map(|rate| rate.bytes().max(1) as f64),
            free_at: Instant::now(),
        })
    }

    async fn open(&mut self) -> Result<()> {
        Ok(())
    }

    async fn write(&mut self, delivery: &mut Delivery) -> Result<()> {
        let bytes = delivery.wire().len();
        if let Some(rate) = self.rate {
            // Time in which nothing came is not saved up.
            self.free_at = self.free_at.max(Instant::now()) + Duration::from_secs_f64(bytes as f64 / rate);
            sleep_until(self.free_at).await;
        }
        delivery.advance(bytes);
        Ok(())
    }
}
