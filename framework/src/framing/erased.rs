//! Framings behind one object-safe trait, so that actors need not know which one the config names.

use std::sync::Arc;

use serde_json::Value;

use super::{Delimited, Fixed, Framing, LengthDelimited, Rest, Unframed};
use crate::error::{Error, Result};

/// The `type` of every framing that comes with the framework.
pub const BUILT_IN: [&str; 4] = [Delimited::NAME, Fixed::NAME, LengthDelimited::NAME, Unframed::NAME];

/// [`Framing`] without its associated types. Every framing has it; nobody implements it by hand.
pub trait DynFraming: Send {
    /// See [`Framing::NAME`].
    fn name(&self) -> &'static str;
    /// See [`Framing::decode`].
    ///
    /// # Errors
    /// As there.
    fn decode(&mut self, input: &[u8], scanned: usize, ends: &mut Vec<u32>) -> Result<Rest>;
    /// See [`Framing::encode`].
    ///
    /// # Errors
    /// As there.
    fn encode(&self, frame: &[u8], out: &mut Vec<u8>) -> Result<()>;
    /// See [`Framing::overhead`].
    fn overhead(&self) -> (u32, u32);
    /// See [`Framing::resync`].
    fn resync(&self, input: &[u8]) -> Option<usize>;
    /// See [`Framing::wire`].
    fn wire(&self) -> Option<Arc<str>>;
    /// See [`Framing::rest_is_frame`].
    fn rest_is_frame(&self) -> bool;
}

impl<F: Framing> DynFraming for F {
    fn name(&self) -> &'static str {
        F::NAME
    }
    fn decode(&mut self, input: &[u8], scanned: usize, ends: &mut Vec<u32>) -> Result<Rest> {
        Framing::decode(self, input, scanned, ends)
    }
    fn encode(&self, frame: &[u8], out: &mut Vec<u8>) -> Result<()> {
        Framing::encode(self, frame, out)
    }
    fn overhead(&self) -> (u32, u32) {
        Framing::overhead(self)
    }
    fn resync(&self, input: &[u8]) -> Option<usize> {
        Framing::resync(self, input)
    }
    fn wire(&self) -> Option<Arc<str>> {
        Framing::wire(self)
    }
    fn rest_is_frame(&self) -> bool {
        Framing::rest_is_frame(self)
    }
}

/// Builds framing `F` from its options: the keys of a `framing` table without `type` and without those of
/// [`Limits`](super::Limits). `Value::Null` stands for no keys.
///
/// # Errors
/// When the options do not fit the framing's config, or contradict each other.
pub fn boxed<F: Framing>(settings: Value) -> Result<Box<dyn DynFraming>> {
    let settings = match settings {
        Value::Null => Value::Object(serde_json::Map::new()),
        given => given,
    };
    let config = serde_json::from_value(settings)
        .map_err(|error| Error::fatal(format!("framing {}: its options are wrong", F::NAME)).because(error))?;
    Ok(Box::new(F::new(config)?))
}

/// Builds the built-in framing called `name`; see [`boxed`] for `settings`.
///
/// # Errors
/// When there is none of that name, or its options are wrong.
pub fn build(name: &str, settings: Value) -> Result<Box<dyn DynFraming>> {
    match name {
        Delimited::NAME => boxed::<Delimited>(settings),
        Fixed::NAME => boxed::<Fixed>(settings),
        LengthDelimited::NAME => boxed::<LengthDelimited>(settings),
        Unframed::NAME => boxed::<Unframed>(settings),
        _ => Err(Error::fatal(format!(
            "there is no framing \"{name}\"; use one of {}",
            BUILT_IN.join(", ")
        ))),
    }
}

/// The options of every built-in framing, as JSON schemas by name.
pub fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        (Delimited::NAME, schema::<Delimited>()),
        (Fixed::NAME, schema::<Fixed>()),
        (LengthDelimited::NAME, schema::<LengthDelimited>()),
        (Unframed::NAME, schema::<Unframed>()),
    ]
}

/// The options that every framing with a maximum takes, as a JSON schema.
pub fn limits_schema() -> Value {
    schemars::schema_for!(super::Limits).to_value()
}

fn schema<F: Framing>() -> Value {
    schemars::schema_for!(F::Config).to_value()
}
