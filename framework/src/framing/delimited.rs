//! `delimited`: every frame ends with the same bytes, such as a newline.

use std::fmt::Write as _;
use std::sync::Arc;

use aqueduct_sys::scan::positions;
use memchr::memmem::Finder;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Framing, RESYNC_BYTES, Rest};
use crate::error::{Error, Result};
use crate::seeded::{self, Bug};

/// The longest delimiter, in bytes: a discarded frame's last bytes must still show all but one of it.
pub const LONGEST_DELIMITER_BYTES: usize = RESYNC_BYTES + 1;

/// Options of the framing `delimited`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DelimitedConfig {
    /// Text that ends every frame: 1 to 257 bytes, a newline unless `delimiter_hex` is given.
    #[schemars(extend("default" = "\n"))]
    pub delimiter: Option<String>,
    /// The same as hexadecimal digits, for bytes that are no text, such as "ff00". Instead of `delimiter`.
    pub delimiter_hex: Option<String>,
    /// True: the delimiter belongs to the frame, so that plugins see it. False: frames come without it.
    pub keep: bool,
}

/// Frames that end with a delimiter of one or more bytes.
///
/// A frame that contains the delimiter cannot be written: its reader would see several frames, so it is rejected.
#[derive(Debug)]
pub struct Delimited {
    finder: Finder<'static>,
    keep: bool,
    wire: Arc<str>,
}

impl Delimited {
    /// Frames that end with `delimiter`, which is part of them when `keep` is true.
    ///
    /// # Errors
    /// When the delimiter is empty or longer than [`LONGEST_DELIMITER_BYTES`].
    pub fn with(delimiter: &[u8], keep: bool) -> Result<Self> {
        if delimiter.is_empty() || delimiter.len() > LONGEST_DELIMITER_BYTES {
            return Err(Error::fatal(format!(
                "framing delimited: the delimiter has {} bytes; give it 1 to {LONGEST_DELIMITER_BYTES}",
                delimiter.len()
            )));
        }
        let mut wire = String::from("delimited:");
        for byte in delimiter {
            let _ = write!(wire, "{byte:02x}");
        }
        if keep {
            wire.push_str(":keep");
        }
        Ok(Self {
            finder: Finder::new(delimiter).into_owned(),
            keep,
            wire: wire.into(),
        })
    }

    fn delimiter(&self) -> &[u8] {
        self.finder.needle()
    }

    fn first_end(&self, bytes: &[u8]) -> Option<usize> {
        let at = match self.delimiter() {
            [byte] => memchr::memchr(*byte, bytes),
            _ => self.finder.find(bytes),
        };
        at.map(|at| at + self.delimiter().len())
    }
}

impl Framing for Delimited {
    type Config = DelimitedConfig;
    const NAME: &'static str = "delimited";

    fn new(config: DelimitedConfig) -> Result<Self> {
        let delimiter = match (config.delimiter, config.delimiter_hex) {
            (Some(_), Some(_)) => {
                return Err(Error::fatal(
                    "framing delimited: `delimiter` and `delimiter_hex` exclude each other; remove one of them",
                ));
            }
            (Some(text), None) => text.into_bytes(),
            (None, Some(hex)) => from_hex(&hex)?,
            (None, None) => b"\n".to_vec(),
        };
        Self::with(&delimiter, config.keep)
    }

    fn decode(&mut self, input: &[u8], scanned: usize, ends: &mut Vec<u32>) -> Result<Rest> {
        let width = self.delimiter().len();
        // A delimiter may have begun in the bytes already seen, but not ended there.
        let mut from = (scanned + 1).saturating_sub(width).min(input.len());
        if seeded::has(Bug::SplitDelimiterMissed) {
            from = scanned.min(input.len());
        }
        match self.delimiter() {
            [byte] => positions(*byte, &input[from..], from as u32, ends),
            _ => ends.extend(
                self.finder
                    .find_iter(&input[from..])
                    .map(|at| (from + at + width) as u32),
            ),
        }
        Ok(Rest::default())
    }

    fn encode(&self, frame: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        out.extend_from_slice(frame);
        if !(self.keep && frame.ends_with(self.delimiter())) {
            out.extend_from_slice(self.delimiter());
        }
        // The written bytes are searched, not the frame: a delimiter can also begin at the frame's end.
        match self.first_end(&out[start..]) {
            Some(end) if start + end < out.len() => {
                out.truncate(start);
                Err(Error::rejected(format!(
                    "a frame of {} bytes contains the delimiter ({}) before byte {end}, so its reader would see more than one frame; \
                     use length_delimited, or a delimiter that frames do not contain",
                    frame.len(),
                    self.wire
                )))
            }
            _ => Ok(()),
        }
    }

    fn overhead(&self) -> (u32, u32) {
        (0, if self.keep { 0 } else { self.delimiter().len() as u32 })
    }

    fn resync(&self, input: &[u8]) -> Option<usize> {
        self.first_end(input)
    }

    fn wire(&self) -> Option<Arc<str>> {
        Some(self.wire.clone())
    }

    fn rest_is_frame(&self) -> bool {
        true
    }
}

fn from_hex(hex: &str) -> Result<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    hex.as_bytes()
        .chunks(2)
        .map(|pair| match *pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        })
        .collect::<Option<Vec<u8>>>()
        .ok_or_else(|| {
            Error::fatal(format!(
                "framing delimited: `delimiter_hex` is \"{hex}\"; write two hexadecimal digits for each byte, such as \"0d0a\""
            ))
        })
}
