//! From a `framing` table to a framing: the four built-in ones and those that plugins bring.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::config::FramingConfig;
use crate::error::Result;
use crate::framing::{
    self, Delimited, DynFraming, Framing, LengthDelimited, LengthDelimitedConfig, Limits, MOST_FRAME_BYTES, OnOversize,
};

/// Builds as many framings of one configuration as there are connections.
#[derive(Clone)]
pub struct FramingSpec {
    build: Arc<dyn Fn() -> Result<Box<dyn DynFraming>> + Send + Sync>,
    /// The largest frame, and what happens past it.
    pub limits: Limits,
}

impl FramingSpec {
    /// A specification that builds with `build`.
    pub fn new(limits: Limits, build: impl Fn() -> Result<Box<dyn DynFraming>> + Send + Sync + 'static) -> Self {
        Self {
            build: Arc::new(build),
            limits,
        }
    }

    /// A new framing, at the start of a stream.
    ///
    /// # Errors
    /// When the framing refuses its options.
    pub fn build(&self) -> Result<Box<dyn DynFraming>> {
        (self.build)()
    }
}

impl fmt::Debug for FramingSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FramingSpec")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Builds a framing that no plugin brings.
pub(super) fn built_in(config: &FramingConfig) -> Result<Box<dyn DynFraming>> {
    match config {
        FramingConfig::Delimited { delimiter, keep, .. } => Ok(Box::new(Delimited::with(delimiter, *keep)?)),
        FramingConfig::Fixed { bytes } => framing::build("fixed", json!({ "bytes": bytes })),
        FramingConfig::LengthDelimited {
            header_bytes,
            endian,
            header_included,
            ..
        } => Ok(Box::new(LengthDelimited::new(LengthDelimitedConfig {
            header_bytes: *header_bytes,
            endian: *endian,
            header_included: *header_included,
        })?)),
        FramingConfig::None => framing::build("none", Value::Null),
        FramingConfig::Custom { name, settings, .. } => framing::build(name, settings.clone()),
    }
}

/// The bounds of a framing table.
pub(super) fn limits(config: &FramingConfig) -> Limits {
    let (max_frame_bytes, on_oversize) = match config {
        FramingConfig::Delimited {
            max_frame_bytes,
            on_oversize,
            ..
        }
        | FramingConfig::LengthDelimited {
            max_frame_bytes,
            on_oversize,
            ..
        }
        | FramingConfig::Custom {
            max_frame_bytes,
            on_oversize,
            ..
        } => (*max_frame_bytes, *on_oversize),
        FramingConfig::Fixed { bytes } => (*bytes, OnOversize::Close),
        // One read is one frame, and no read is longer than the buffer.
        FramingConfig::None => (super::feed::READ_BYTES as u64, OnOversize::Close),
    };
    Limits {
        max_frame_bytes: max_frame_bytes.clamp(1, MOST_FRAME_BYTES),
        on_oversize,
    }
}
