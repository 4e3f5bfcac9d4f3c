//! `length_delimited`: a binary number before each frame says how long it is.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Framing, Rest};
use crate::error::{Error, Result};

/// Options of the framing `length_delimited`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LengthDelimitedConfig {
    /// Length of the header that holds the number, in bytes: 1, 2, 4 or 8.
    #[schemars(extend("enum" = [1, 2, 4, 8]))]
    pub header_bytes: u8,
    /// Which byte of the number comes first: "big" the most significant (network order), "little" the least.
    pub endian: Endian,
    /// True when the number counts the header's own bytes too.
    pub header_included: bool,
}

impl Default for LengthDelimitedConfig {
    fn default() -> Self {
        Self {
            header_bytes: 4,
            endian: Endian::Big,
            header_included: false,
        }
    }
}

/// The order of a number's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Endian {
    /// The most significant byte first: network order.
    #[default]
    Big,
    /// The least significant byte first.
    Little,
}

/// Frames behind a header with their length. Nothing is allocated by the length a peer claims.
#[derive(Debug)]
pub struct LengthDelimited {
    header: usize,
    endian: Endian,
    header_included: bool,
}

impl LengthDelimited {
    /// The length of the frame at the start of `input` with its header, once the header is there.
    fn span(&self, input: &[u8]) -> Result<Option<u64>> {
        let Some(header) = input.get(..self.header) else {
            return Ok(None);
        };
        let mut wide = [0; 8];
        let number = match self.endian {
            Endian::Big => {
                wide[8 - self.header..].copy_from_slice(header);
                u64::from_be_bytes(wide)
            }
            Endian::Little => {
                wide[..self.header].copy_from_slice(header);
                u64::from_le_bytes(wide)
            }
        };
        if !self.header_included {
            return Ok(Some(number.saturating_add(self.header as u64)));
        }
        if number < self.header as u64 {
            return Err(Error::rejected(format!(
                "a length header says {number} bytes, but with header_included it counts its own {} bytes too; \
                 check header_bytes, endian and header_included against the peer's protocol",
                self.header
            )));
        }
        Ok(Some(number))
    }

    fn longest(&self) -> u64 {
        u64::MAX >> (64 - 8 * self.header)
    }
}

impl Framing for LengthDelimited {
    type Config = LengthDelimitedConfig;
    const NAME: &'static str = "length_delimited";

    fn new(config: LengthDelimitedConfig) -> Result<Self> {
        if !matches!(config.header_bytes, 1 | 2 | 4 | 8) {
            return Err(Error::fatal(format!(
                "framing length_delimited: `header_bytes` is {}; give it 1, 2, 4 or 8",
                config.header_bytes
            )));
        }
        Ok(Self {
            header: config.header_bytes.into(),
            endian: config.endian,
            header_included: config.header_included,
        })
    }

    fn decode(&mut self, input: &[u8], _scanned: usize, ends: &mut Vec<u32>) -> Result<Rest> {
        let mut start = 0;
        loop {
            let rest = &input[start..];
            match self.span(rest)? {
                Some(span) if span <= rest.len() as u64 => start += span as usize,
                needs => return Ok(Rest { needs }),
            }
            ends.push(start as u32);
        }
    }

    fn encode(&self, frame: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let own = if self.header_included { self.header } else { 0 };
        let number = frame.len() as u64 + own as u64;
        if number > self.longest() {
            return Err(Error::rejected(format!(
                "a frame of {} bytes is too long for a length header of {} bytes; use a larger header_bytes",
                frame.len(),
                self.header
            )));
        }
        match self.endian {
            Endian::Big => out.extend_from_slice(&number.to_be_bytes()[8 - self.header..]),
            Endian::Little => out.extend_from_slice(&number.to_le_bytes()[..self.header]),
        }
        out.extend_from_slice(frame);
        Ok(())
    }

    fn overhead(&self) -> (u32, u32) {
        (self.header as u32, 0)
    }

    fn wire(&self) -> Option<Arc<str>> {
        let endian = match (self.header, self.endian) {
            (1, _) => "",
            (_, Endian::Big) => ":big",
            (_, Endian::Little) => ":little",
        };
        let included = if self.header_included { ":included" } else { "" };
        Some(format!("length_delimited:{}{endian}{included}", self.header).into())
    }
}
