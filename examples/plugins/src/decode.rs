//! The processor `decode`: a probe's message becomes a line of text, such as `7,21.500`.
//!
//! It keeps no state, so any number of `workers` may share the frames; what they make leaves in the order of the input.

use aqueduct::framework::batch::Frame;
use aqueduct::framework::error::{Error, Result};
use aqueduct::framework::plugin::{Context, Output, Processor};
use schemars::JsonSchema;
use serde::Deserialize;

/// The type of a message with a reading: probe u16, thousandths of a degree i32, big endian.
pub const READING: u8 = 1;
/// The type of a message with a fault: probe u16, text.
pub const FAULT: u8 = 2;

/// Turns messages of probes into lines such as `7,21.500`; faults leave by the output `faults`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What each probe shows too much, in thousandths of a degree.
    #[serde(default)]
    offset: i32,
}

/// The plugin.
pub struct Decode {
    offset: i32,
}

impl Processor for Decode {
    type Config = Config;
    const NAME: &'static str = "decode";
    const SAMPLE: &'static str = r#"type = "decode"
offset = 250
"#;
    const OUTPUTS: &'static [&'static str] = &["faults"];

    fn new(config: Config, _: &Context) -> Result<Self> {
        Ok(Self { offset: config.offset })
    }

    fn frame(&mut self, frame: Frame<'_>, out: &mut Output) -> Result<()> {
        // A span inside the one of this actor, until the end of the function. It costs next to nothing when nobody traces.
        let span = frame.child_span("decode");
        let Some((&[kind, high, low], data)) = frame.bytes().split_first_chunk() else {
            return Err(Error::rejected("a message without type and probe"));
        };
        let probe = u16::from_be_bytes([high, low]);
        span.attribute("greenhouse.probe", probe.to_string());
        // An attribute goes with the frame, through spill stores too: nobody has to look for the probe again.
        out.attribute("probe", probe.to_string());
        match (kind, <[u8; 4]>::try_from(data)) {
            (READING, Ok(data)) => {
                let milli = i32::from_be_bytes(data).saturating_sub(self.offset);
                out.push(format!("{probe},{:.3}", f64::from(milli) / 1000.0).as_bytes());
            }
            (FAULT, _) => out.push_to("faults", &[format!("{probe},").as_bytes(), data].concat()),
            // The frame will never be any better, so it is set aside and the next one follows.
            _ => return Err(Error::rejected(format!("no message of type {kind} is like this"))),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use aqueduct::framework::testing;

    use super::Decode;

    const READING: &[u8] = b"\x01\x00\x07\x00\x00\x53\xfc";

    #[test]
    fn a_reading_becomes_a_line() {
        let run = testing::processor::<Decode>("offset = 500").frames([READING]);
        assert_eq!(run.output(""), ["7,21.000"]);
        assert_eq!(run.attributes("", 0)["probe"], "7");
    }

    #[test]
    fn a_fault_leaves_by_its_own_output() {
        let run = testing::processor::<Decode>("").frames([&b"\x02\x00\x07door"[..], READING]);
        assert_eq!(run.output("faults"), ["7,door"]);
        assert_eq!(run.output(""), ["7,21.500"]);
    }

    #[test]
    fn what_is_no_message_is_rejected_and_the_next_follows() {
        let run = testing::processor::<Decode>("").frames([&b"\x09\x00\x07"[..], b"", READING]);
        let reasons: Vec<_> = run.rejected().into_iter().map(|letter| letter.reason).collect();
        assert_eq!(
            reasons,
            ["no message of type 9 is like this", "a message without type and probe"]
        );
        assert_eq!(run.output(""), ["7,21.500"]);
    }

    #[test]
    fn it_keeps_to_the_contract() {
        testing::conformance::processor::<Decode>()
            .frames([READING, b"junk"])
            .check();
    }
}
