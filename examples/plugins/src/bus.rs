//! The source `bus`: what probes send over a serial bus. The bus is made up; put `File::open("/dev/ttyUSB0")` in its place.

use std::io::{self, Read};
use std::pin::pin;
use std::thread;

use aqueduct::framework::batch::Attributes;
use aqueduct::framework::error::{Error, Result};
use aqueduct::framework::framing::Framing;
use aqueduct::framework::plugin::{Context, Feed, Filled, Placement, Source};
use aqueduct::framework::units::Period;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::decode::{FAULT, READING};
use crate::probe::Probe;

/// Reads what probes send over a serial bus, which is made up.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How many probes take turns.
    #[schemars(range(min = 1))]
    probes: u16,
    /// How many messages come. The source ends behind the last.
    messages: u32,
    /// The time between two messages.
    every: Period,
}

/// The plugin.
pub struct Bus {
    wire: Wire,
}

impl Source for Bus {
    type Config = Config;
    const NAME: &'static str = "bus";
    const SAMPLE: &'static str = r#"type = "bus"
probes = 3
messages = 60
every = "10ms"
"#;
    // Reading from the bus blocks the thread, so it must not be the one that all others share.
    const PLACEMENT: Placement = Placement::Own;
    // Probes do not wait either: `aqueduct check` warns of a spill store that could block this source.
    const WILL_NOT_WAIT: bool = true;

    fn new(config: Config, _: &Context) -> Result<Self> {
        if config.probes == 0 {
            return Err(Error::fatal(
                "without `probes` nothing would ever come; give it at least 1",
            ));
        }
        Ok(Self {
            wire: Wire::new(config),
        })
    }

    async fn run(&mut self, feed: &Feed) -> Result<()> {
        // Attributes of the stream go with every frame.
        let mut intake = feed.stream(Attributes::of_batch([("bus".to_owned(), "north".to_owned())]))?;
        let mut stopping = pin!(feed.stopping());
        loop {
            tokio::select! {
                biased;
                () = &mut stopping => return Ok(()),
                // Reading without demand would be hoarding.
                () = intake.ready() => {}
            }
            // It blocks for one message at most, so the request to stop is seen soon.
            match intake.fill(|room| self.wire.read(room)) {
                Filled::Read { .. } => tokio::task::yield_now().await,
                Filled::End => {
                    intake.finish();
                    return Ok(());
                }
                // The framework waits, longer each time, and calls `run` again.
                Filled::Failed(error) => return Err(Error::unavailable("the bus does not answer").because(error)),
                Filled::Refused(error) => {
                    return Err(Error::unavailable(format!(
                        "the bus is given up and opened anew: {error}"
                    )));
                }
            }
        }
    }
}

/// The bus: hands out a few bytes at a time, as such a line does, and blocks between messages.
struct Wire {
    config: Config,
    sent: u32,
    left: Vec<u8>,
}

impl Wire {
    fn new(config: Config) -> Self {
        Self {
            config,
            sent: 0,
            left: Vec::new(),
        }
    }

    /// Probes report a temperature in thousandths of a degree, now and then a fault, and rarely something that nobody ever documented.
    fn message(&self) -> Vec<u8> {
        let probe = (self.sent % u32::from(self.config.probes)) as u16 + 1;
        let step = (self.sent / u32::from(self.config.probes)) as i32;
        match self.sent % 30 {
            29 => vec![9, 9, 9],
            19 => [&[FAULT][..], &probe.to_be_bytes(), b"battery low"].concat(),
            _ => {
                let milli = 20_000 + i32::from(probe) * 100 + (step / 4) * 500;
                [&[READING][..], &probe.to_be_bytes(), &milli.to_be_bytes()].concat()
            }
        }
    }
}

impl Read for Wire {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.left.is_empty() && self.sent < self.config.messages {
            thread::sleep(self.config.every.duration());
            let encoded = Probe::default().encode(&self.message(), &mut self.left);
            encoded.map_err(io::Error::other)?;
            self.sent += 1;
        }
        let bytes = self.left.len().min(room.len()).min(8);
        room[..bytes].copy_from_slice(&self.left[..bytes]);
        self.left.drain(..bytes);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use aqueduct::framework::testing;

    use super::Bus;
    use crate::probe::Probe;

    #[test]
    fn probes_take_turns_and_the_source_ends_behind_the_last_message() {
        let kit = testing::source::<Bus>("probes = 2\nmessages = 3\nevery = \"0s\"");
        let run = kit.custom_framing::<Probe>("").run();
        let probes: Vec<_> = run.frames_bytes().iter().map(|frame| frame[2]).collect();
        assert_eq!(probes, [1, 2, 1]);
        assert_eq!(run.attributes(0)["bus"], "north");
        assert_eq!(run.failure(), None);
    }

    #[test]
    fn it_stops_between_two_messages() {
        let kit = testing::source::<Bus>("probes = 1\nmessages = 1_000_000\nevery = \"1ms\"");
        let bus = kit.custom_framing::<Probe>("").start();
        bus.grant_all();
        bus.wait_frames(1);
        assert_eq!(bus.stop().failure(), None);
    }

    #[test]
    fn it_keeps_to_the_contract() {
        let options = "probes = 3\nmessages = 100_000\nevery = \"0s\"";
        testing::conformance::source::<Bus>()
            .options(options)
            .custom_framing::<Probe>("")
            .check();
    }
}
