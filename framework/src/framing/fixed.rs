//! `fixed`: every frame has the same number of bytes.

use std::num::NonZeroU32;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Framing, Rest};
use crate::error::{Error, Result};

/// Options of the framing `fixed`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FixedConfig {
    /// Length of every frame, in bytes.
    pub bytes: NonZeroU32,
}

/// Frames of one length, with nothing between them. A frame of another length is rejected on the way out.
#[derive(Debug)]
pub struct Fixed {
    bytes: u32,
}

impl Framing for Fixed {
    type Config = FixedConfig;
    const NAME: &'static str = "fixed";

    fn new(config: FixedConfig) -> Result<Self> {
        Ok(Self {
            bytes: config.bytes.get(),
        })
    }

    fn decode(&mut self, input: &[u8], _scanned: usize, ends: &mut Vec<u32>) -> Result<Rest> {
        let frames = (input.len() / self.bytes as usize) as u32;
        ends.extend((1..=frames).map(|count| count * self.bytes));
        Ok(Rest {
            needs: Some(self.bytes.into()),
        })
    }

    fn encode(&self, frame: &[u8], out: &mut Vec<u8>) -> Result<()> {
        if frame.len() != self.bytes as usize {
            return Err(Error::rejected(format!(
                "a frame of {} bytes cannot be written in the framing fixed with bytes = {}; make all frames that long, \
                 or choose another framing",
                frame.len(),
                self.bytes
            )));
        }
        out.extend_from_slice(frame);
        Ok(())
    }

    fn wire(&self) -> Option<Arc<str>> {
        Some(format!("fixed:{}", self.bytes).into())
    }
}
