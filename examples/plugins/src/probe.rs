//! The framing `probe`: the header that the probes of the greenhouse put before each message.
//!
//! ```text
//! | length u16 | CRC32C u32 | type u8 | data ... |      big endian; the length and the checksum are those of type and data
//! |       the header        |     the frame      |
//! ```
//!
//! The type is the last byte of the header on paper. Here it begins the frame, because whoever gets the frame must know it: what a framing
//! calls its own (`overhead`) is not seen by plugins, and written anew by `encode`.

use std::sync::Arc;

use aqueduct::framework::error::{Error, Result};
use aqueduct::framework::framing::{Framing, Rest};
use schemars::JsonSchema;
use serde::Deserialize;

/// Length and checksum.
const HEADER_BYTES: usize = 6;

/// Messages of the greenhouse's probes: length, checksum, type, data.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whether checksums of what comes in are looked at.
    #[serde(default = "yes")]
    verify: bool,
}

fn yes() -> bool {
    true
}

/// The framing of one connection.
#[derive(Default)]
pub struct Probe {
    verify: bool,
}

impl Framing for Probe {
    type Config = Config;
    const NAME: &'static str = "probe";

    fn new(config: Config) -> Result<Self> {
        Ok(Self { verify: config.verify })
    }

    // It keeps nothing from call to call: the framework shows it the beginning of an unfinished frame again, when there is more.
    fn decode(&mut self, input: &[u8], _: usize, ends: &mut Vec<u32>) -> Result<Rest> {
        let mut start = 0;
        // A header that is not complete says nothing yet.
        while let Some((header, rest)) = input[start..].split_first_chunk::<HEADER_BYTES>() {
            let [high, low, checksum @ ..] = *header;
            let length = usize::from(u16::from_be_bytes([high, low]));
            let Some(frame) = rest.get(..length) else {
                // Now the framework need not ask again before so many bytes are there, and can refuse a frame that will be too long.
                return Ok(Rest {
                    needs: Some((HEADER_BYTES + length) as u64),
                });
            };
            if self.verify && crc32c::crc32c(frame) != u32::from_be_bytes(checksum) {
                // Where the next header begins is unknown, so this closes the connection. The frames before stand.
                return Err(Error::rejected(format!(
                    "the checksum of a message of {length} bytes is wrong"
                )));
            }
            start += HEADER_BYTES + length;
            ends.push(start as u32);
        }
        Ok(Rest::default())
    }

    fn encode(&self, frame: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let length = u16::try_from(frame.len()).map_err(|_| {
            // This one frame goes to the dead letters.
            Error::rejected(format!("{} bytes are too many for a length of 16 bits", frame.len()))
        })?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&crc32c::crc32c(frame).to_be_bytes());
        out.extend_from_slice(frame);
        Ok(())
    }

    fn overhead(&self) -> (u32, u32) {
        (HEADER_BYTES as u32, 0)
    }

    // A sink with the same text writes what came in as it is. The options do not change the bytes, so they are not in it.
    fn wire(&self) -> Option<Arc<str>> {
        Some("greenhouse:probe".into())
    }
}

#[cfg(test)]
mod tests {
    use aqueduct::framework::testing;

    use super::Probe;

    #[test]
    fn messages_come_back_as_they_were() {
        let kit = testing::framing::<Probe>("");
        assert_eq!(kit.encode("\x01abc")[..2], [0, 4]);
        kit.round_trip(["\x01abc", "", "\x02"]);
    }

    #[test]
    fn a_wrong_checksum_ends_the_stream_behind_the_good_messages() {
        let kit = testing::framing::<Probe>("");
        let mut stream = [kit.encode("good"), kit.encode("bad")].concat();
        *stream.last_mut().unwrap() ^= 1;
        let decoded = kit.decode(&stream);
        assert_eq!(decoded.texts(), ["good"]);
        assert_eq!(
            decoded.refused.unwrap(),
            "the checksum of a message of 3 bytes is wrong"
        );
        assert_eq!(
            testing::framing::<Probe>("verify = false").decode(&stream).frames.len(),
            2
        );
    }

    #[test]
    fn a_message_that_is_too_long_is_refused() {
        let error = testing::framing::<Probe>("").try_encode(&[0; 70_000]).unwrap_err();
        assert_eq!(error.to_string(), "70000 bytes are too many for a length of 16 bits");
    }

    #[test]
    fn it_keeps_to_the_contract() {
        testing::conformance::framing::<Probe>("").check();
    }
}
