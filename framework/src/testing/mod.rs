//! For tests of plugins, the framework's own and everybody's: they run as they do in a pipeline, without one.
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
mod host;
mod processor;
mod run;
#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::error::{Error, Result};

pub use batch::{batch, lines};
pub use host::Host;
pub use processor::{ProcessorKit, processor};
pub use run::{DeadLetter, Run};

/// Keys of an actor's table that are the framework's, not its plugin's.
const FRAMEWORK_KEYS: [&str; 7] = [
    "type",
    "framing",
    "window_bytes",
    "workers",
    "own_thread",
    "retry",
    "partial_bytes",
];

/// The plugin's options in a `sample.toml`, which is a table such as `[processors.NAME]` as it stands in a pipeline's file:
/// for the test that a sample works.
///
/// # Errors
/// When it is no TOML, or is not exactly one table of one actor.
pub fn sample_options(sample: &str) -> Result<String> {
    let wrong = |what: &str| {
        Error::fatal(format!(
            "the sample {what}; it should be one table such as [processors.NAME]"
        ))
    };
    let roles: toml::Table = toml::from_str(sample).map_err(|error| wrong("is not TOML").because(error))?;
    let mut actors = roles.into_iter().filter_map(|(_, actors)| match actors {
        toml::Value::Table(actors) => Some(actors),
        _ => None,
    });
    let (Some(actors), None) = (actors.next(), actors.next()) else {
        return Err(wrong("does not hold one role"));
    };
    match actors.into_iter().next() {
        Some((_, toml::Value::Table(mut options))) => {
            for key in FRAMEWORK_KEYS {
                options.remove(key);
            }
            Ok(options.to_string())
        }
        _ => Err(wrong("does not hold one actor")),
    }
}

fn options(text: &str) -> Result<Value> {
    toml::from_str(text).map_err(|error| Error::fatal("the options are not TOML").because(error))
}
