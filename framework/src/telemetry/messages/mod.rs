//! Which frame is a message to be followed, and by what id. Pure: bytes in, an id out.

mod path;
mod pattern;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub use pattern::{FieldPattern, FramePattern};

use super::Traceparent;
use crate::config::MessagesConfig;

/// A longer text is no id, in bytes.
pub const ID_BYTES_MAX: usize = 256;

/// Finds the ids of messages in frames, as `[telemetry.messages]` says.
#[derive(Debug, Clone)]
pub struct MessageMatcher {
    id: FieldPattern,
    context: Option<FieldPattern>,
    only: Option<FramePattern>,
}

impl MessageMatcher {
    /// What this table asks for.
    pub fn new(config: &MessagesConfig) -> Self {
        Self {
            id: config.id.clone(),
            context: config.context.clone(),
            only: config.only.clone(),
        }
    }

    /// The id of the message in this frame (its bytes without framing); none when the frame is not to be followed.
    pub fn id<'f>(&self, frame: &'f [u8]) -> Option<Cow<'f, str>> {
        let wanted = self.only.as_ref().is_none_or(|only| only.is_in(frame));
        let id = wanted.then(|| self.id.find(frame)).flatten()?;
        (1..=ID_BYTES_MAX).contains(&id.len()).then_some(id)
    }

    /// The trace that the frame says it belongs to; none when it says nothing that can be understood.
    pub fn context(&self, frame: &[u8]) -> Option<Traceparent> {
        self.context.as_ref()?.find(frame)?.parse().ok()
    }
}
