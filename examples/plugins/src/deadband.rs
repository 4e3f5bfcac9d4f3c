//! The processor `deadband`: passes a reading on when it differs enough from the one of the same probe that passed before.
//!
//! It keeps state, and state is one instance's: with `workers = 2` each would know half of the readings, and after a panic a new instance
//! knows none. Here that costs a few readings that need not have passed, which is harmless; think about it before you keep more.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use aqueduct::framework::batch::Frame;
use aqueduct::framework::error::{Error, Result};
use aqueduct::framework::plugin::{Context, Output, Placement, Processor};
use aqueduct::framework::telemetry::{Counter, Gauge};
use schemars::JsonSchema;
use serde::Deserialize;

/// Passes readings that differ enough from the last of their probe; the others leave by the output `unchanged`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The least difference, in degrees.
    #[schemars(range(min = 0.0))]
    degrees: f64,
    /// How many probes are told apart. Readings of further ones are rejected.
    most_probes: NonZeroUsize,
}

/// The plugin.
pub struct Deadband {
    config: Config,
    passed: HashMap<String, f64>,
    held_back: Counter,
    probes: Gauge,
}

impl Processor for Deadband {
    type Config = Config;
    const NAME: &'static str = "deadband";
    const SAMPLE: &'static str = r#"type = "deadband"
degrees = 0.5
most_probes = 100
"#;
    // Cheap, and it never blocks: on the thread of its neighbours it saves a switch of threads for each batch.
    const PLACEMENT: Placement = Placement::Data;
    const OUTPUTS: &'static [&'static str] = &["unchanged"];

    fn new(config: Config, context: &Context) -> Result<Self> {
        if !config.degrees.is_finite() {
            // No retry and no other frame makes this better. `aqueduct check` shows it.
            return Err(Error::fatal("`degrees` must be a number such as 0.5"));
        }
        Ok(Self {
            config,
            passed: HashMap::new(),
            // Meters of one's own: `aqueduct status` shows them.
            held_back: context.counter("held_back"),
            probes: context.gauge("probes"),
        })
    }

    fn frame(&mut self, frame: Frame<'_>, out: &mut Output) -> Result<()> {
        let (probe, degrees) = reading(frame).ok_or_else(|| Error::rejected("no reading such as `7,21.500`"))?;
        let before = self.passed.get(probe);
        if before.is_some_and(|before| (degrees - before).abs() < self.config.degrees) {
            self.held_back.add(1);
            out.send("unchanged", frame);
            return Ok(());
        }
        // Whatever comes from outside needs a limit, or a broken bus fills the memory with probes.
        if before.is_none() && self.passed.len() == self.config.most_probes.get() {
            let most = self.config.most_probes;
            return Err(Error::rejected(format!("more than {most} probes; raise `most_probes`")));
        }
        self.passed.insert(probe.to_owned(), degrees);
        self.probes.set(self.passed.len() as u64);
        out.keep(frame);
        Ok(())
    }
}

/// The probe and the degrees of a line such as `7,21.500`.
pub fn reading<'a>(frame: Frame<'a>) -> Option<(&'a str, f64)> {
    let (probe, degrees) = std::str::from_utf8(frame.bytes()).ok()?.split_once(',')?;
    Some((probe, degrees.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use aqueduct::framework::testing;

    use super::Deadband;

    #[test]
    fn small_changes_are_held_back_for_each_probe() {
        let kit = testing::processor::<Deadband>("degrees = 0.5\nmost_probes = 9");
        let run = kit.frames(["1,20.0", "2,30.0", "1,20.4", "1,20.5", "2,29.9"]);
        assert_eq!(run.output(""), ["1,20.0", "2,30.0", "1,20.5"]);
        assert_eq!(run.output("unchanged"), ["1,20.4", "2,29.9"]);
        assert_eq!((run.count("held_back"), run.count("probes")), (2, 2));
    }

    #[test]
    fn a_probe_too_many_is_rejected() {
        let kit = testing::processor::<Deadband>("degrees = 0.5\nmost_probes = 1");
        let run = kit.frames(["1,20.0", "2,30.0", "1,21.0"]);
        assert_eq!(run.output(""), ["1,20.0", "1,21.0"]);
        assert_eq!(run.rejected()[0].reason, "more than 1 probes; raise `most_probes`");
    }

    #[test]
    fn it_keeps_to_the_contract() {
        testing::conformance::processor::<Deadband>()
            .frames(["1,20.0", "junk"])
            .check();
    }
}
