//! `none`: whatever one read gave is a frame, and frames are written as they are.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Framing, Rest};
use crate::error::Result;

/// The framing `none` has no options.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoneConfig {}

/// No boundaries: for streams whose structure does not matter.
#[derive(Debug)]
pub struct Unframed;

impl Framing for Unframed {
    type Config = NoneConfig;
    const NAME: &'static str = "none";

    fn new(_: NoneConfig) -> Result<Self> {
        Ok(Self)
    }

    fn decode(&mut self, input: &[u8], _scanned: usize, ends: &mut Vec<u32>) -> Result<Rest> {
        if !input.is_empty() {
            ends.push(input.len() as u32);
        }
        Ok(Rest::default())
    }

    fn encode(&self, frame: &[u8], out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(frame);
        Ok(())
    }

    fn wire(&self) -> Option<Arc<str>> {
        Some("none".into())
    }
}
