//! `verify`: checks a sequence number in the frames for gaps, duplicates and order.

mod number;
mod sequence;
mod tally;
#[cfg(test)]
mod tests;

use std::num::NonZeroUsize;
use std::time::Duration;

use aqueduct_framework::batch::Frame;
use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::plugin::{Context, Frames, Output, Placement, Processor};
use aqueduct_framework::units::Period;
use number::Place;
use schemars::JsonSchema;
use sequence::{Sequence, Verdict};
use serde::{Deserialize, Serialize};
use tally::{Tally, TallyMeters};

/// Missing ranges remembered unless the config says otherwise; each takes about 40 bytes.
const REMEMBER: NonZeroUsize = NonZeroUsize::MIN.saturating_add(9_999);

/// Checks the numbers in frames: gaps, duplicates, order.
///
/// Either `pattern` or `field` and `separator`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which column of a frame is the number, from 0. Unset: 0.
    field: Option<usize>,
    /// The byte between two columns. Unset: a space.
    #[schemars(length(min = 1, max = 1))]
    separator: Option<String>,
    /// Instead of a column: a regular expression with one group, around the number.
    pattern: Option<String>,
    /// What happens to a frame that is a duplicate, out of order or without a number: only `report` it, or `reject` it too. Missing numbers are only reported.
    #[serde(default)]
    on_error: OnError,
    /// How often it says what it has found.
    #[serde(default = "minute")]
    #[schemars(extend("minimum" = 1))]
    report_every: Period,
    /// How many ranges of missing numbers it remembers, to tell a late frame from a duplicate.
    #[serde(default = "remember")]
    remember: NonZeroUsize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum OnError {
    #[default]
    Report,
    Reject,
}

fn minute() -> Period {
    Period::seconds(60)
}

fn remember() -> NonZeroUsize {
    REMEMBER
}

/// The plugin. It follows one sequence, so it needs all frames.
pub struct Verify {
    place: Place,
    sequence: Sequence,
    tally: Tally,
    meters: TallyMeters,
    reported: Option<Tally>,
    on_error: OnError,
    report_every: Duration,
    context: Context,
}

impl Processor for Verify {
    type Config = Config;
    const NAME: &'static str = "verify";
    const SAMPLE: &'static str = include_str!("sample.toml");
    const PLACEMENT: Placement = Placement::Data;
    const ALONE: Option<&'static str> =
        Some("it follows one sequence, and each of several instances would see gaps that are none");

    fn new(config: Config, context: &Context) -> Result<Self> {
        let place = match (&config.pattern, &config.field, &config.separator) {
            (Some(pattern), None, None) => Place::pattern(pattern)?,
            (Some(_), _, _) => {
                return Err(Error::fatal(
                    "set either `pattern` or `field` and `separator`, not both",
                ));
            }
            (None, field, separator) => Place::column(separator.as_deref().unwrap_or(" "), field.unwrap_or(0))?,
        };
        Ok(Self {
            place,
            sequence: Sequence::new(config.remember.get()),
            tally: Tally::default(),
            meters: TallyMeters::new(context),
            reported: None,
            on_error: config.on_error,
            report_every: config.report_every.duration(),
            context: context.clone(),
        })
    }

    fn frame(&mut self, frame: Frame<'_>, out: &mut Output) -> Result<()> {
        match self.check(frame) {
            Some(reason) if self.on_error == OnError::Reject => return Err(Error::rejected(reason)),
            _ => out.keep(frame),
        }
        Ok(())
    }

    async fn batch(&mut self, frames: &mut Frames<'_>, out: &mut Output) -> Result<()> {
        let mut result = Ok(());
        while result.is_ok() && frames.left() > 0 {
            result = frames.next(out).map_or(Ok(()), |frame| self.frame(frame, out));
        }
        self.meters.tell(self.tally);
        result
    }

    fn tick_every(&self) -> Option<Duration> {
        Some(self.report_every)
    }

    fn tick(&mut self, _: &mut Output) -> Result<()> {
        self.report();
        Ok(())
    }
}

impl Verify {
    /// Counts the frame; says what is wrong with it.
    fn check(&mut self, frame: Frame<'_>) -> Option<String> {
        let Some(number) = self.place.number(frame) else {
            self.tally.unnumbered += 1;
            return Some("there is no sequence number in it".to_owned());
        };
        self.tally.verified += 1;
        let verdict = self.sequence.see(number);
        self.tally.missing = self.sequence.missing();
        match verdict {
            Verdict::Next => None,
            Verdict::Gap(_) => {
                self.tally.gaps += 1;
                None
            }
            Verdict::Late => {
                self.tally.out_of_order += 1;
                Some(format!("its sequence number {number} comes after higher ones"))
            }
            Verdict::Duplicate => {
                self.tally.duplicates += 1;
                Some(format!("its sequence number {number} was there before"))
            }
        }
    }

    fn report(&mut self) {
        if self.reported == Some(self.tally) {
            return;
        }
        self.reported = Some(self.tally);
        let (actor, words) = (&self.context.actor, self.tally.to_string());
        if self.tally.is_clean() {
            tracing::info!(%actor, "{words}");
        } else {
            tracing::warn!(%actor, "{words}");
        }
        self.context.say("verify", words);
    }
}

/// The last report: the plugin goes when its pipeline ends, or after a panic.
impl Drop for Verify {
    fn drop(&mut self) {
        self.report();
    }
}
