//! The framing `my_plugin`: a marker, a length of two bytes (the high one first), the frame.
//!
//! It works as it stands. Change it into yours: the config first, then `decode` and `encode`, then
//! the tests.

use std::process::ExitCode;
use std::sync::Arc;

use aqueduct::framework::error::{Error, Result};
use aqueduct::framework::framing::{Framing, Rest};
use schemars::JsonSchema;
use serde::Deserialize;

const HEADER_BYTES: usize = 3;

/// A marker, a length of two bytes (the high one first), the frame.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The byte that every header begins with.
    marker: u8,
}

/// The framing of one connection.
struct MyPlugin {
    marker: u8,
}

impl Framing for MyPlugin {
    type Config = Config;
    const NAME: &'static str = "my_plugin";

    fn new(config: Config) -> Result<Self> {
        Ok(Self {
            marker: config.marker,
        })
    }

    // It only finds where frames end. The framework keeps an unfinished frame until more bytes come,
    // and drops one that is longer than `max_frame_bytes`: `needs` tells it how long that will be.
    fn decode(&mut self, input: &[u8], _: usize, ends: &mut Vec<u32>) -> Result<Rest> {
        let mut start = 0;
        loop {
            let rest = &input[start..];
            if rest.first().is_some_and(|first| *first != self.marker) {
                return Err(Error::rejected(format!(
                    "a header begins with {:#04x} instead of {:#04x}; is `marker` right?",
                    rest[0], self.marker
                )));
            }
            let Some(&[_, high, low]) = rest.first_chunk() else {
                return Ok(Rest::default());
            };
            let end = HEADER_BYTES + usize::from(u16::from_be_bytes([high, low]));
            if end > rest.len() {
                return Ok(Rest {
                    needs: Some(end as u64),
                });
            }
            start += end;
            ends.push(start as u32);
        }
    }

    fn encode(&self, frame: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let length = u16::try_from(frame.len()).map_err(|_| {
            Error::rejected(format!(
                "a frame of {} bytes is too long for a header of two",
                frame.len()
            ))
        })?;
        out.push(self.marker);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(frame);
        Ok(())
    }

    // How many bytes around a frame are the header's: plugins see the frame without them.
    fn overhead(&self) -> (u32, u32) {
        (HEADER_BYTES as u32, 0)
    }

    // Where source and sink say the same, bytes are passed on as they came.
    fn wire(&self) -> Option<Arc<str>> {
        Some(format!("my_plugin:{:02x}", self.marker).into())
    }
}

fn main() -> ExitCode {
    aqueduct::main(|plugins| plugins.framing::<MyPlugin>())
}

#[cfg(test)]
mod tests {
    use aqueduct::framework::testing;

    use super::MyPlugin;

    #[test]
    fn a_frame_stands_behind_its_marker_and_length() {
        let kit = testing::framing::<MyPlugin>("marker = 1");
        assert_eq!(kit.encode("abc"), b"\x01\x00\x03abc");
        let decoded = kit.decode(b"\x01\x00\x03abc\x01\x00\x00");
        assert_eq!(decoded.texts(), ["abc", ""]);
        kit.round_trip(["one", "", "three"]);
    }

    #[test]
    fn another_marker_is_refused_with_a_reason() {
        let kit = testing::framing::<MyPlugin>("marker = 1");
        let decoded = kit.decode(b"\x01\x00\x01a\x02\x00\x01b");
        assert_eq!(decoded.texts(), ["a"]);
        assert!(decoded.refused.unwrap().contains("0x02 instead of 0x01"));
    }

    #[test]
    fn a_frame_that_is_too_long_is_refused_with_a_reason() {
        let kit = testing::framing::<MyPlugin>("marker = 1");
        let error = kit.try_encode(&[0; 70_000]).unwrap_err();
        assert!(error.to_string().contains("too long"), "{error}");
    }

    #[test]
    fn it_keeps_to_the_contract_of_framings() {
        testing::conformance::framing::<MyPlugin>("marker = 1").check();
    }
}
