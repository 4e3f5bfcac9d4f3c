//! The source `generate`: numbered frames of a size, at a rate, for trials.

#[cfg(test)]
mod tests;

use std::pin::pin;
use std::time::Duration;

use aqueduct_framework::batch::Attributes;
use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::plugin::{Context, Feed, FrameIntake, Source};
use aqueduct_framework::units::ByteSize;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::Instant;

/// Digits of a frame's number: any u64 fits, and the frames sort as text.
const DIGITS: usize = 20;

/// Bytes made between two looks at demand, and at once for a rate.
const SLICE_BYTES: usize = 64 * 1024;

/// Bytes made before other actors of the thread get a turn.
const TURN_BYTES: usize = 1024 * 1024;

/// How far a rate may fall behind, because of the destination, before it stops catching up.
const MOST_BACKLOG: Duration = Duration::from_secs(1);

/// The pause between two portions of a rate.
const TICK: Duration = Duration::from_millis(1);

/// Makes numbered frames, at a rate or as fast as they are taken: for trials.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// Bytes of each frame, framing not included; at least the prefix and 20 digits.
    #[serde(default = "frame_bytes")]
    #[schemars(range(min = 20, max = 16_777_216))]
    bytes: ByteSize,
    /// Frames per second; 0 is as fast as they are taken.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    rate: f64,
    /// How many frames; the source ends behind the last. Unset: it never ends.
    count: Option<u64>,
    /// The number of the first frame.
    #[serde(default)]
    from: u64,
    /// Text in front of the number.
    #[serde(default)]
    prefix: String,
}

const fn frame_bytes() -> ByteSize {
    ByteSize(100)
}

/// The plugin.
pub(super) struct Generate {
    frame: Vec<u8>,
    number_at: usize,
    rate: f64,
    next: u64,
    end: Option<u64>,
}

impl Source for Generate {
    type Config = Config;
    const NAME: &'static str = "generate";
    const SAMPLE: &'static str = include_str!("sample.toml");

    fn new(config: Config, _: &Context) -> Result<Self> {
        let number_at = config.prefix.len();
        let bytes = usize::try_from(config.bytes.bytes()).unwrap_or(usize::MAX);
        if bytes < number_at + DIGITS {
            return Err(Error::fatal(format!(
                "`bytes` is {bytes}, but prefix and number take {}; raise it, or shorten `prefix`",
                number_at + DIGITS
            )));
        }
        let mut frame = config.prefix.into_bytes();
        frame.resize(number_at + DIGITS, b'0');
        frame.resize((number_at + DIGITS + 1).min(bytes), b' ');
        frame.extend((frame.len()..bytes).map(|at| b'a' + (at % 26) as u8));
        Ok(Self {
            frame,
            number_at,
            rate: config.rate,
            next: config.from,
            end: config.count.map(|count| config.from.saturating_add(count)),
        })
    }

    async fn run(&mut self, feed: &Feed) -> Result<()> {
        let mut stopping = pin!(feed.stopping());
        tokio::select! {
            biased;
            () = &mut stopping => {}
            () = self.make(feed.frames(Attributes::default())) => {}
        }
        Ok(())
    }
}

impl Generate {
    async fn make(&mut self, mut intake: FrameIntake) {
        let slice = (SLICE_BYTES / self.frame.len()).max(1) as u64;
        let (mut turn_bytes, mut pace) = (0, Pace::new(self.rate, Instant::now()));
        while self.end.is_none_or(|end| self.next < end) {
            intake.ready().await;
            let left = self.end.map_or(u64::MAX, |end| end - self.next);
            let count = pace.due(Instant::now()).min(slice).min(left);
            for _ in 0..count {
                self.write_number();
                intake.push(&self.frame);
                self.next += 1;
            }
            intake.flush();
            pace.made(count);
            turn_bytes += count as usize * self.frame.len();
            if count == 0 {
                tokio::time::sleep(TICK).await;
            } else if turn_bytes >= TURN_BYTES {
                turn_bytes = 0;
                tokio::task::yield_now().await;
            }
        }
    }

    fn write_number(&mut self) {
        let mut number = self.next;
        for digit in self.frame[self.number_at..self.number_at + DIGITS].iter_mut().rev() {
            *digit = b'0' + (number % 10) as u8;
            number /= 10;
        }
    }
}

/// How many frames a rate allows: a pure state machine, the caller brings the clock.
struct Pace {
    rate: f64,
    since: Instant,
    made: u64,
}

impl Pace {
    fn new(rate: f64, now: Instant) -> Self {
        Self {
            rate,
            since: now,
            made: 0,
        }
    }

    /// Frames that may be made now.
    fn due(&mut self, now: Instant) -> u64 {
        if self.rate <= 0.0 {
            return u64::MAX;
        }
        let due = (self.rate * now.duration_since(self.since).as_secs_f64()) as u64;
        let backlog = due.saturating_sub(self.made);
        if backlog as f64 > self.rate * MOST_BACKLOG.as_secs_f64() + 1.0 {
            // What could not be made for so long is not owed any more.
            *self = Self::new(self.rate, now);
            return 0;
        }
        backlog
    }

    fn made(&mut self, count: u64) {
        self.made += count;
    }
}
