//! What the contracts of the plugin traits promise, as tests: three lines for the author of a plugin.
//!
//! ```
//! # use aqueduct_framework::batch::Frame;
//! # use aqueduct_framework::error::Result;
//! # use aqueduct_framework::plugin::{Context, Output, Processor};
//! # #[derive(serde::Deserialize, schemars::JsonSchema)]
//! # #[serde(deny_unknown_fields)]
//! # struct Config {
//! #     /// What the whole frame must be.
//! #     word: String,
//! # }
//! # struct Only(Config);
//! # impl Processor for Only {
//! #     type Config = Config;
//! #     const NAME: &'static str = "only";
//! #     const SAMPLE: &'static str = "[processors.yes]\ntype = \"only\"\nword = \"yes\"";
//! #     fn new(config: Config, _: &Context) -> Result<Self> { Ok(Self(config)) }
//! #     fn frame(&mut self, frame: Frame<'_>, out: &mut Output) -> Result<()> {
//! #         if frame.bytes() == self.0.word.as_bytes() { out.keep(frame) }
//! #         Ok(())
//! #     }
//! # }
//! # /*
//! #[test]
//! fn it_keeps_the_contract() {
//! # */
//!     aqueduct_framework::testing::conformance::processor::<Only>().check();
//! # /*
//! }
//! # */
//! ```
//! A suite stops at the first line of the contract that is broken, and panics with it in words. Sources and sinks run on real threads, by
//! the actors that run them in a pipeline; a suite of theirs is told how to reach the other side.

mod declared;
mod framing;
mod processor;
mod sink;
mod source;

pub use framing::{FramingSuite, framing};
pub use processor::{ProcessorSuite, processor};
pub use sink::{SinkSuite, sink};
pub use source::{SourceSuite, source};

/// A line of the contract, and how it is broken.
type Checked<T = ()> = Result<T, String>;

/// Fails with this line of the contract, unless it is kept.
fn keeps(contract: &str, kept: bool, otherwise: impl FnOnce() -> String) -> Checked {
    if kept {
        Ok(())
    } else {
        Err(broken(contract, otherwise()))
    }
}

fn broken(contract: &str, what: impl std::fmt::Display) -> String {
    format!("{contract}; but {what}")
}

/// Runs what must not panic.
fn contained<R>(contract: &str, act: impl FnOnce() -> R) -> Checked<R> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(act))
        .map_err(|panic| broken(contract, format!("it panicked: {}", crate::actors::panic_text(&*panic))))
}

/// Ends the test when the contract is broken.
#[track_caller]
fn must_conform(role: &str, name: &str, checked: Checked) {
    if let Err(broken) = checked {
        panic!("the {role} `{name}` breaks its contract: {broken}");
    }
}
