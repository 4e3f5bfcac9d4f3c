//! How a byte stream is cut into frames, as a table such as `framing = { type = "delimited" }`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::framing::{Endian, LONGEST_DELIMITER_BYTES, LengthDelimitedConfig, MOST_FRAME_BYTES, OnOversize};
use crate::units::ByteSize;

/// The framing of a source or sink. Its frames always have a finite maximum size.
#[derive(Debug, Clone, PartialEq)]
pub enum FramingConfig {
    /// Frames end with a byte sequence.
    Delimited {
        /// 1 to [`LONGEST_DELIMITER_BYTES`] bytes.
        delimiter: Vec<u8>,
        /// Whether the delimiter stays at the end of the frame.
        keep: bool,
        /// Bytes of the largest frame, the delimiter not counted.
        max_frame_bytes: u64,
        /// What happens past it.
        on_oversize: OnOversize,
    },
    /// Frames of the same number of bytes each, at least 1.
    Fixed {
        /// Bytes of every frame.
        bytes: u64,
    },
    /// Frames with their length in front.
    LengthDelimited {
        /// Bytes of the length: 1, 2, 4 or 8.
        header_bytes: u8,
        /// Their order.
        endian: Endian,
        /// Whether the length counts the header too.
        header_included: bool,
        /// Bytes of the largest frame, the header not counted.
        max_frame_bytes: u64,
        /// What happens past it.
        on_oversize: OnOversize,
    },
    /// Whatever one read gave is one frame.
    None,
    /// A framing plugin.
    Custom {
        /// Its `type`.
        name: String,
        /// Its own keys.
        settings: Value,
        /// Bytes of the largest frame.
        max_frame_bytes: u64,
        /// What happens past it.
        on_oversize: OnOversize,
    },
}

/// Lines of at most 1 MiB, without their newline.
impl Default for FramingConfig {
    fn default() -> Self {
        Self::Delimited {
            delimiter: b"\n".to_vec(),
            keep: false,
            max_frame_bytes: MAX_FRAME.bytes(),
            on_oversize: OnOversize::default(),
        }
    }
}

impl FramingConfig {
    /// Bytes of the largest frame it reads; none where reads are frames.
    fn max_frame_bytes(&self) -> Option<u64> {
        match self {
            Self::Delimited { max_frame_bytes, .. }
            | Self::LengthDelimited { max_frame_bytes, .. }
            | Self::Custom { max_frame_bytes, .. } => Some(*max_frame_bytes),
            Self::Fixed { bytes } => Some(*bytes),
            Self::None => None,
        }
    }

    /// What happens to larger ones, where there can be such.
    pub(super) fn on_oversize(&self) -> Option<OnOversize> {
        match self {
            Self::Delimited { on_oversize, .. }
            | Self::LengthDelimited { on_oversize, .. }
            | Self::Custom { on_oversize, .. } => Some(*on_oversize),
            Self::Fixed { .. } | Self::None => None,
        }
    }

    /// Which of the frames that are read in the framing `read` cannot be written in this one, as far as the two tables tell.
    pub(super) fn cannot_hold(&self, read: &Self) -> Option<String> {
        match (self, read) {
            (Self::Fixed { bytes }, Self::Fixed { bytes: same }) if bytes == same => None,
            (Self::Fixed { bytes }, _) => Some(format!("that have not {bytes} bytes")),
            (
                Self::LengthDelimited {
                    header_bytes,
                    header_included,
                    ..
                },
                _,
            ) => {
                let own = if *header_included { u64::from(*header_bytes) } else { 0 };
                let longest = (u64::MAX >> (64 - 8 * u32::from(*header_bytes).clamp(1, 8))) - own;
                let fits = read.max_frame_bytes().is_some_and(|most| most <= longest);
                (!fits && longest < MOST_FRAME_BYTES).then(|| format!("of more than {longest} bytes"))
            }
            (Self::Delimited { delimiter, .. }, Self::Delimited { delimiter: same, .. }) if delimiter == same => None,
            (Self::Delimited { .. }, _) => Some("that contain its delimiter".to_owned()),
            (Self::None | Self::Custom { .. }, _) => None,
        }
    }
}

const MAX_FRAME: ByteSize = ByteSize::mib(1);

/// The `type`s that are no plugins.
pub(super) const BUILT_IN: [&str; 4] = ["delimited", "fixed", "length_delimited", "none"];

/// The table of a built-in framing, as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum FramingKeys {
    Delimited {
        delimiter: Option<String>,
        delimiter_hex: Option<String>,
        #[serde(default)]
        keep: bool,
        #[serde(default = "max_frame_bytes")]
        #[schemars(range(min = 1, max = 1_073_741_824))]
        max_frame_bytes: ByteSize,
        #[serde(default)]
        on_oversize: OnOversize,
    },
    Fixed {
        #[schemars(range(min = 1, max = 1_073_741_824))]
        bytes: ByteSize,
    },
    LengthDelimited {
        #[serde(default = "header_bytes")]
        #[schemars(extend("enum" = [1, 2, 4, 8]))]
        header_bytes: u8,
        #[serde(default)]
        endian: Endian,
        #[serde(default)]
        header_included: bool,
        #[serde(default = "max_frame_bytes")]
        #[schemars(range(min = 1, max = 1_073_741_824))]
        max_frame_bytes: ByteSize,
        // A length that is too large is rarely a long frame: the peer speaks another protocol, or the stream is damaged.
        #[serde(default = "close")]
        on_oversize: OnOversize,
    },
    None {},
}

/// The keys that the framework takes from the table of a framing plugin.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct OversizeKeys {
    #[schemars(range(min = 1, max = 1_073_741_824))]
    pub(super) max_frame_bytes: ByteSize,
    pub(super) on_oversize: OnOversize,
}

impl Default for OversizeKeys {
    fn default() -> Self {
        Self {
            max_frame_bytes: MAX_FRAME,
            on_oversize: OnOversize::default(),
        }
    }
}

const fn max_frame_bytes() -> ByteSize {
    MAX_FRAME
}

fn header_bytes() -> u8 {
    LengthDelimitedConfig::default().header_bytes
}

const fn close() -> OnOversize {
    OnOversize::Close
}

impl FramingKeys {
    /// What the keys mean together.
    ///
    /// # Errors
    /// The delimiter is empty, given twice, or no hex; with the key that is wrong.
    pub(super) fn finish(self) -> Result<FramingConfig, (&'static str, String)> {
        Ok(match self {
            Self::Delimited {
                delimiter,
                delimiter_hex,
                keep,
                max_frame_bytes,
                on_oversize,
            } => FramingConfig::Delimited {
                delimiter: delimiter_bytes(delimiter, delimiter_hex)?,
                keep,
                max_frame_bytes: max_frame_bytes.bytes(),
                on_oversize,
            },
            Self::Fixed { bytes } => FramingConfig::Fixed { bytes: bytes.bytes() },
            Self::LengthDelimited {
                header_bytes,
                endian,
                header_included,
                max_frame_bytes,
                on_oversize,
            } => FramingConfig::LengthDelimited {
                header_bytes,
                endian,
                header_included,
                max_frame_bytes: max_frame_bytes.bytes(),
                on_oversize,
            },
            Self::None {} => FramingConfig::None,
        })
    }
}

fn delimiter_bytes(text: Option<String>, hex: Option<String>) -> Result<Vec<u8>, (&'static str, String)> {
    let (key, bytes) = match (text, hex) {
        (Some(_), Some(_)) => return Err(("delimiter_hex", "is given besides delimiter".into())),
        (Some(text), None) => match escaped(&text) {
            Some(message) => return Err(("delimiter", message)),
            None => ("delimiter", text.into_bytes()),
        },
        (None, Some(hex)) => {
            let bytes =
                from_hex(&hex).ok_or_else(|| ("delimiter_hex", format!("`{hex}` is not pairs of hex digits")))?;
            ("delimiter_hex", bytes)
        }
        (None, None) => ("delimiter", b"\n".to_vec()),
    };
    match bytes.len() {
        0 => Err((key, "is empty".into())),
        length if length > LONGEST_DELIMITER_BYTES => {
            Err((key, format!("has {length} bytes, more than {LONGEST_DELIMITER_BYTES}")))
        }
        _ => Ok(bytes),
    }
}

/// What to write instead, when the text holds an escape sequence that its quotes have left as it was: a backslash and a letter.
fn escaped(text: &str) -> Option<String> {
    let (_, behind) = text.split_once('\\')?;
    let (meant, hex) = match behind.chars().next()? {
        'n' => ("\\n", "0a"),
        'r' if behind.starts_with("r\\n") => ("\\r\\n", "0d0a"),
        'r' => ("\\r", "0d"),
        't' => ("\\t", "09"),
        '0' | 'x' | 'u' => ("\\u0000", "00"),
        _ => return None,
    };
    Some(format!(
        "`{text}` has a backslash and a letter in it, because these quotes, or none, keep a backslash as it is; \
         write \"{meant}\" in double quotes, or delimiter_hex = \"{hex}\" (a backslash itself is 5c)"
    ))
}

/// Bytes of two digits each.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}
