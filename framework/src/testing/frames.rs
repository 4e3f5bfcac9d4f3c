//! Frames as a test sees them, and the framings that cut and write them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::options;
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::framing::{self, Framing, Limits};
use crate::plugin::FramingSpec;

/// One frame that came out of a plugin.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) bytes: Vec<u8>,
    pub(super) source: String,
    pub(super) number: u64,
    pub(super) attributes: BTreeMap<String, String>,
}

impl Seen {
    /// The frames of a batch.
    pub(super) fn all(batch: &Batch) -> impl Iterator<Item = Self> {
        batch.frames().map(|frame| {
            let own = batch.attributes.range(frame.index(), frame.index() + 1);
            let own = own.iter().map(|own| (own.key.as_str(), own.value.as_str()));
            Self {
                bytes: frame.bytes().to_vec(),
                source: frame.source().to_owned(),
                number: frame.number(),
                attributes: (batch.attributes.batch_attributes().chain(own))
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .collect(),
            }
        })
    }

    /// Its bytes as text; those that are no UTF-8 become U+FFFD.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// A framing as a test names it.
#[derive(Clone)]
pub(super) struct FramingChoice(Result<FramingSpec, String>);

impl FramingChoice {
    /// Lines.
    pub(super) fn lines() -> Self {
        Self::table("type = \"delimited\"\ndelimiter = \"\\n\"")
    }

    /// A built-in framing, by a table as it stands in a pipeline's file.
    pub(super) fn table(text: &str) -> Self {
        Self(built_in(text).map_err(|error| error.to_string()))
    }

    /// A framing of one's own, by its options and those of every framing.
    pub(super) fn custom<F: Framing>(text: &str) -> Self {
        Self(custom::<F>(text).map_err(|error| error.to_string()))
    }

    /// What it is made of.
    ///
    /// # Errors
    /// When the test's table does not fit.
    pub(super) fn spec(&self) -> Result<FramingSpec> {
        self.0.clone().map_err(Error::fatal)
    }
}

fn built_in(text: &str) -> Result<FramingSpec> {
    let (limits, mut settings) = limits_and_rest(text)?;
    let name = settings.as_object_mut().and_then(|keys| keys.remove("type"));
    let Some(Value::String(name)) = name else {
        return Err(Error::fatal("the framing's table has no `type`"));
    };
    framing::build(&name, settings.clone())?;
    Ok(FramingSpec::new(limits, move || {
        framing::build(&name, settings.clone())
    }))
}

fn custom<F: Framing>(text: &str) -> Result<FramingSpec> {
    let (limits, settings) = limits_and_rest(text)?;
    framing::boxed::<F>(settings.clone())?;
    Ok(FramingSpec::new(limits, move || framing::boxed::<F>(settings.clone())))
}

/// What every framing takes, and what is left.
pub(super) fn limits_and_rest(text: &str) -> Result<(Limits, Value)> {
    let mut settings = options(text)?;
    let mut ours = serde_json::Map::new();
    if let Some(keys) = settings.as_object_mut() {
        for key in ["max_frame_bytes", "on_oversize"] {
            ours.extend(keys.remove(key).map(|value| (key.to_owned(), value)));
        }
    }
    let limits = serde_json::from_value(Value::Object(ours));
    let limits = limits.map_err(|error| Error::fatal("the limits of the framing do not fit").because(error))?;
    Ok((limits, settings))
}
