//! The table `reply` of a sink.

use std::num::NonZeroU64;
use std::time::Duration;

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::units::{ByteSize, Period};
use regex::bytes::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answers::End;

/// What the application on the other side answers, for `acknowledge = "reply"`. Answers come in the order of the frames.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplyConfig {
    /// The regular expression that an answer must match (syntax of the Rust crate `regex`); any other says that the frame was not taken. It may match
    /// anywhere, unless it is anchored. Unset: every answer will do.
    pattern: Option<String>,
    /// The answers that refuse what they are about, and what then. Looked at before `pattern`.
    refuse: Option<RefuseConfig>,
    /// What ends an answer; a newline, unless `bytes` is set.
    #[schemars(length(min = 1))]
    delimiter: Option<String>,
    /// Every answer has so many bytes, and no delimiter.
    #[schemars(range(min = 1, max = 1_048_576))]
    bytes: Option<ByteSize>,
    /// What one answer is about: "frame", a number of frames, or "batch": then one batch is sent at a time, and answered before the next.
    #[serde(default)]
    per: PerConfig,
    /// How long an answer may be owed: after this long without one the frames are sent again on a new connection. `"0s"`: for ever.
    #[serde(default = "timeout")]
    #[schemars(extend("minimum" = 1))]
    timeout: Period,
    /// Frames that may be written and not answered. Unset: 10,000, or one group where that is more. Not with `per = "batch"`.
    #[schemars(range(min = 1))]
    window_frames: Option<NonZeroU64>,
    /// The longest answer, in bytes, its delimiter not counted.
    #[serde(default = "max_reply_bytes")]
    #[schemars(range(min = 1, max = 1_048_576))]
    max_reply_bytes: ByteSize,
}

/// What a refusal looks like.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RefuseConfig {
    /// The regular expression that a refusal matches.
    pattern: String,
    /// What becomes of the refused frames.
    then: Then,
}

/// What becomes of frames that were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Then {
    /// They are dead letters at once, and the connection goes on.
    Reject,
    /// They are sent again, on a new connection, as after an answer that does not match `pattern`.
    Retry,
}

/// What one answer is about, as it is written.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum PerConfig {
    Named(Named),
    Frames(#[schemars(range(min = 1))] NonZeroU64),
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Named {
    Frame,
    Batch,
}

impl Default for PerConfig {
    fn default() -> Self {
        Self::Named(Named::Frame)
    }
}

const fn timeout() -> Period {
    Period::seconds(30)
}

const fn max_reply_bytes() -> ByteSize {
    ByteSize::kib(4)
}

/// The default of `window_frames`.
const WINDOW_FRAMES: u64 = 10_000;

/// What one answer is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Per {
    /// So many frames.
    Frames(NonZeroU64),
    /// What was written of one batch.
    Batch,
}

/// The table `reply`, checked.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) pattern: Option<Regex>,
    pub(super) refuse: Option<(Regex, Then)>,
    pub(super) end: End,
    pub(super) most_bytes: usize,
    pub(super) per: Per,
    pub(super) window_frames: u64,
    pub(super) timeout: Option<Duration>,
}

impl ReplyConfig {
    /// What the keys mean together.
    ///
    /// # Errors
    /// When they contradict each other, do not say what an answer is, or the pattern does not compile.
    pub(super) fn terms(&self) -> Result<Terms> {
        let per = match self.per {
            PerConfig::Named(Named::Batch) => Per::Batch,
            PerConfig::Named(Named::Frame) => Per::Frames(NonZeroU64::MIN),
            PerConfig::Frames(frames) => Per::Frames(frames),
        };
        Ok(Terms {
            pattern: self
                .pattern
                .as_deref()
                .map(|text| compiled("pattern", text))
                .transpose()?,
            refuse: self.refuse()?,
            end: self.end()?,
            most_bytes: self.bytes.unwrap_or(self.max_reply_bytes).bytes() as usize,
            per,
            window_frames: self.window_frames(per)?,
            timeout: Some(self.timeout.0).filter(|timeout| !timeout.is_zero()),
        })
    }

    fn refuse(&self) -> Result<Option<(Regex, Then)>> {
        let refuse = self.refuse.as_ref();
        refuse
            .map(|refuse| Ok((compiled("refuse.pattern", &refuse.pattern)?, refuse.then)))
            .transpose()
    }

    /// True when refused frames become dead letters at once.
    pub(crate) fn rejects(&self) -> bool {
        self.refuse.as_ref().is_some_and(|refuse| refuse.then == Then::Reject)
    }

    fn end(&self) -> Result<End> {
        match (&self.delimiter, self.bytes) {
            (Some(_), Some(_)) => Err(Error::fatal(
                "`reply.delimiter` and `reply.bytes` exclude each other: an answer ends in one way",
            )),
            (Some(delimiter), None) => Ok(End::Delimiter(delimiter.clone().into_bytes())),
            (None, Some(bytes)) => Ok(End::Bytes(bytes.bytes() as usize)),
            (None, None) if self.pattern.is_some() || self.refuse.is_some() => Ok(End::Delimiter(b"\n".to_vec())),
            (None, None) => Err(Error::fatal(
                "`reply` must say what an answer is: give it a `pattern` such as \"^OK\", or `bytes = 1` for one byte each, or `delimiter = \"\\n\"` for any line",
            )),
        }
    }

    fn window_frames(&self, per: Per) -> Result<u64> {
        let window = self.window_frames.map(NonZeroU64::get);
        match (per, window) {
            (Per::Batch, Some(_)) => Err(Error::fatal(
                "`reply.window_frames` has no meaning with `per = \"batch\"`: one batch is sent at a time; leave it out",
            )),
            (Per::Frames(group), Some(window)) if group.get() > window => Err(Error::fatal(format!(
                "`reply.window_frames` is {window}, and one answer is about {group} frames: so many could never be sent; raise it"
            ))),
            (Per::Frames(group), None) => Ok(WINDOW_FRAMES.max(group.get())),
            (_, window) => Ok(window.unwrap_or(WINDOW_FRAMES)),
        }
    }
}

fn compiled(key: &str, pattern: &str) -> Result<Regex> {
    Regex::new(pattern).map_err(|error| Error::fatal(format!("`reply.{key}` is no regular expression: {error}")))
}
