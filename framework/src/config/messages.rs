//! `[telemetry.messages]`: which frames get spans of their own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::telemetry::messages::{FieldPattern, FramePattern};

/// Which frames get spans of their own, so that one message is found by its id and not only its batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MessagesConfig {
    /// Where a frame carries its id: a regex with one group, such as `"id=(\\d+)"`, or a JSON path, such as `"$.order.id"`. A frame without one
    /// is not chosen, nor is one whose id is longer than 256 bytes.
    pub id: FieldPattern,
    /// Where a frame carries the W3C `traceparent` of whoever sent it: its spans go on in that trace. One that says "not sampled" gets none.
    #[serde(default)]
    pub context: Option<FieldPattern>,
    /// A regex: only frames that it finds something in.
    #[serde(default, rename = "match")]
    pub only: Option<FramePattern>,
    /// Messages chosen per second and source, at most.
    #[serde(default = "max_per_second")]
    #[schemars(range(min = 1))]
    pub max_per_second: u32,
    /// Frames per second and source that these patterns are tried on, at most: what choosing may cost. The others are counted as
    /// `messages_not_examined`.
    #[serde(default = "max_examined_per_second")]
    #[schemars(range(min = 1))]
    pub max_examined_per_second: u32,
}

const fn max_per_second() -> u32 {
    100
}

const fn max_examined_per_second() -> u32 {
    100_000
}
