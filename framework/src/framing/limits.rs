//! The bounds that hold for every framing, whatever it is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The largest `max_frame_bytes`, in bytes: frames and what is read with them must stay below the 4 GiB of a batch.
pub const MOST_FRAME_BYTES: u64 = 1 << 30;

/// How long a frame may be, and what happens to a longer one: keys of every `framing` table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The longest frame, in bytes, without the framing's own bytes: 1 to 1 GiB.
    #[schemars(range(min = 1, max = 1_073_741_824_u64))]
    pub max_frame_bytes: u64,
    /// What happens to a longer one. With `length_delimited` the default is `close`: such a length cannot be trusted.
    pub on_oversize: OnOversize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_frame_bytes: 1 << 20,
            on_oversize: OnOversize::Discard,
        }
    }
}

/// What happens to a frame longer than `max_frame_bytes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnOversize {
    /// Drop it, count it as lost, and go on at the next frame.
    #[default]
    Discard,
    /// Close the connection. The frame counts as lost.
    Close,
}
