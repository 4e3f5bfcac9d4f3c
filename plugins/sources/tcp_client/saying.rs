//! What a dialled source says by itself: the options for it.

use std::time::Duration;

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::units::Period;
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::connection::Heartbeat;

/// What to send, and how often.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HeartbeatConfig {
    /// The text.
    text: Option<String>,
    /// The same in hexadecimal digits, for bytes that are no text.
    hex: Option<String>,
    /// How often; 100 ms or more.
    every: Period,
}

/// Shorter pauses are no heartbeat.
const SHORTEST: Duration = Duration::from_millis(100);

impl HeartbeatConfig {
    /// # Errors
    /// When there is nothing to send, or too often.
    pub(super) fn checked(self) -> Result<Heartbeat> {
        let bytes = bytes_of("heartbeat.text", self.text, self.hex)?.unwrap_or_default();
        let every = self.every.duration();
        if bytes.is_empty() || every < SHORTEST {
            return Err(Error::fatal(
                "`heartbeat` needs a `text`, or `hex`, of a byte or more, and `every` of 100ms or more, such as { text = \"\\n\", every = \"30s\" }",
            ));
        }
        Ok(Heartbeat { bytes, every })
    }
}

/// The bytes that a text or its hexadecimal form stands for; none when there is neither.
///
/// # Errors
/// When there are both, or the digits are none.
pub(super) fn bytes_of(key: &str, text: Option<String>, hex: Option<String>) -> Result<Option<Vec<u8>>> {
    match (text, hex) {
        (Some(_), Some(_)) => Err(Error::fatal(format!(
            "`{key}` and its hexadecimal form exclude each other; remove one of them"
        ))),
        (Some(text), None) => Ok(Some(text.into_bytes())),
        (None, Some(hex)) => from_hex(&hex).map(Some).ok_or_else(|| {
            Error::fatal(format!(
                "the hexadecimal form of `{key}` is \"{hex}\"; write two hexadecimal digits for each byte, such as \"0d0a\""
            ))
        }),
        (None, None) => Ok(None),
    }
}

fn from_hex(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let pairs = hex.as_bytes().chunks(2).map(|pair| match *pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    });
    pairs.collect()
}
