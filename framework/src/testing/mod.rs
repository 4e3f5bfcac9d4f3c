//! For tests of plugins, the framework's own and everybody's: they run as they do in a pipeline, without one.
//!
//! [`processor()`], [`source()`], [`sink()`] and [`framing()`] run one plugin with options in TOML, by the actor or the code that runs it in a pipeline, and
//! give what came of it; whatever is waited for in vain ends the test after 20 s, in words. [`conformance`] holds a plugin to its contract.
//!
//! ```
//! # use aqueduct_framework::batch::Frame;
//! # use aqueduct_framework::error::Result;
//! # use aqueduct_framework::plugin::{Context, Output, Processor};
//! # #[derive(serde::Deserialize, schemars::JsonSchema)]
//! # struct Config { word: String }
//! # struct Only(Config);
//! # impl Processor for Only {
//! #     type Config = Config;
//! #     const NAME: &'static str = "only";
//! #     fn new(config: Config, _: &Context) -> Result<Self> { Ok(Self(config)) }
//! #     fn frame(&mut self, frame: Frame<'_>, out: &mut Output) -> Result<()> {
//! #         if frame.bytes() == self.0.word.as_bytes() { out.keep(frame) }
//! #         Ok(())
//! #     }
//! # }
//! use aqueduct_framework::testing;
//!
//! let run = testing::processor::<Only>(r#"word = "yes""#).frames(["yes", "no", "yes"]);
//! assert_eq!(run.output(""), ["yes", "yes"]);
//! assert_eq!(run.numbers(""), [0, 2]);
//! ```

mod batch;
pub mod conformance;
mod frames;
mod framing;
mod host;
mod processor;
mod run;
mod sample;
mod sink;
mod source;
#[cfg(test)]
mod tests;
mod watched;

use serde_json::Value;

use crate::error::{Error, Result};

pub use batch::{batch, lines};
pub use framing::{Decoded, FramingKit, framing};
pub use host::Host;
pub use processor::{ProcessorKit, processor};
pub use run::{DeadLetter, Run};
pub use sample::sample_options;
pub use sink::{RunningSink, SinkKit, SinkRun, sink};
pub use source::{RunningSource, SourceKit, SourceRun, source};

/// The plugin's settings in a sample.
pub(crate) fn sample_settings(role: crate::config::Role, sample: &str) -> Result<Value> {
    options(&sample::options_of(role, sample)?)
}

fn options(text: &str) -> Result<Value> {
    toml::from_str(text).map_err(|error| Error::fatal("the options are not TOML").because(error))
}
