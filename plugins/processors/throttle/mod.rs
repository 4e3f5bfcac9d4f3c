//! `throttle`: lets no more than so many frames or bytes per second through.

mod bucket;
#[cfg(test)]
mod tests;

use std::num::NonZeroU64;

use aqueduct_framework::batch::Frame;
use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::plugin::{Context, Frames, Output, Placement, Processor};
use aqueduct_framework::units::ByteSize;
use bucket::Bucket;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::Instant;

/// Lets frames or bytes pass at a rate.
///
/// Exactly one of `frames_per_second` and `bytes_per_second` is set.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Frames let through in a second, on average.
    frames_per_second: Option<NonZeroU64>,
    /// Bytes of frames, without their framing, let through in a second, on average.
    #[schemars(range(min = 1))]
    bytes_per_second: Option<ByteSize>,
    /// Frames or bytes, whichever is limited, that may pass at once after a quiet time, inside a batch too. Unset: what passes in one second. A single
    /// frame of more bytes passes alone.
    #[schemars(range(min = 1))]
    burst: Option<ByteSize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Frames,
    Bytes,
}

/// The plugin.
pub struct Throttle {
    unit: Unit,
    bucket: Bucket,
    begun: Option<Instant>,
}

impl Processor for Throttle {
    type Config = Config;
    const NAME: &'static str = "throttle";
    const SAMPLE: &'static str = include_str!("sample.toml");
    const PLACEMENT: Placement = Placement::Data;
    const ALONE: Option<&'static str> =
        Some("it keeps one rate for all frames, and several instances would each let as much through");

    fn new(config: Config, _: &Context) -> Result<Self> {
        let (unit, rate) = match (config.frames_per_second, config.bytes_per_second) {
            (Some(frames), None) => (Unit::Frames, frames.get()),
            (None, Some(bytes)) => (Unit::Bytes, bytes.bytes()),
            _ => {
                return Err(Error::fatal(
                    "set exactly one of `frames_per_second` and `bytes_per_second`",
                ));
            }
        };
        let burst = config.burst.map_or(rate, ByteSize::bytes);
        if rate == 0 || burst == 0 {
            return Err(Error::fatal(
                "with a rate or a `burst` of 0 nothing would ever pass; give it at least 1",
            ));
        }
        Ok(Self {
            unit,
            bucket: Bucket::new(rate, burst),
            begun: None,
        })
    }

    fn frame(&mut self, frame: Frame<'_>, out: &mut Output) -> Result<()> {
        out.keep(frame);
        Ok(())
    }

    fn portion(&mut self, frames: &Frames<'_>) -> usize {
        let now = self.now();
        let most = self.bucket.portion(now);
        if self.unit == Unit::Frames {
            return usize::try_from(most).unwrap_or(usize::MAX);
        }
        let mut bytes = 0;
        let fits = |index: &usize| {
            bytes += frames.batch().frame(*index).bytes().len() as u64;
            bytes <= most
        };
        frames.rest().take_while(fits).count().max(1)
    }

    async fn batch(&mut self, frames: &mut Frames<'_>, out: &mut Output) -> Result<()> {
        let amount = match self.unit {
            Unit::Frames => frames.left() as u64,
            Unit::Bytes => frames
                .rest()
                .map(|index| frames.batch().frame(index).bytes().len() as u64)
                .sum(),
        };
        let now = self.now();
        let wait = self.bucket.take(now, amount);
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        frames.keep(frames.left(), out);
        Ok(())
    }
}

impl Throttle {
    /// The bucket's clock begins with the first frame.
    fn now(&mut self) -> std::time::Duration {
        self.begun.get_or_insert_with(Instant::now).elapsed()
    }
}
