//! How a byte stream is cut into frames, as a table such as `framing = { type = "delimited" }`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::units::ByteSize;

/// The framing of a source or sink. Its frames always have a finite maximum size.
#[derive(Debug, Clone, PartialEq)]
pub enum FramingConfig {
    /// Frames end with a byte sequence.
    Delimited {
        /// At least one byte.
        delimiter: Vec<u8>,
        /// Whether the delimiter stays at the end of the frame.
        keep: bool,
        /// Bytes of the largest frame, the delimiter not counted.
        max_frame_bytes: u64,
        /// What happens past it.
        on_oversize: Oversize,
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
        on_oversize: Oversize,
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
        on_oversize: Oversize,
    },
}

/// Lines of at most 1 MiB, without their newline.
impl Default for FramingConfig {
    fn default() -> Self {
        Self::Delimited {
            delimiter: b"\n".to_vec(),
            keep: false,
            max_frame_bytes: MAX_FRAME.bytes(),
            on_oversize: Oversize::default(),
        }
    }
}

/// What happens with a frame that is larger than `max_frame_bytes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Oversize {
    /// It is dropped and counted, and reading goes on behind it.
    #[default]
    Discard,
    /// The connection is closed, and the close counted.
    Close,
}

/// The order of the bytes of a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Endian {
    /// The most significant byte first: network order.
    #[default]
    Big,
    /// The least significant byte first.
    Little,
}

const MAX_FRAME: ByteSize = ByteSize::mib(1);
