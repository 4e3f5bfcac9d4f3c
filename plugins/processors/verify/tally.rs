//! What `verify` has found, in numbers and in words.

use std::fmt;

use aqueduct_framework::plugin::Context;
use aqueduct_framework::telemetry::{Counter, Gauge};

/// Counts since the plugin was built.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) verified: u64,
    pub(super) unnumbered: u64,
    pub(super) gaps: u64,
    pub(super) missing: u64,
    pub(super) duplicates: u64,
    pub(super) out_of_order: u64,
}

impl Tally {
    /// True when the frames are all there, once each, in order.
    pub(super) fn is_clean(&self) -> bool {
        *self
            == Self {
                verified: self.verified,
                ..Self::default()
            }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} frames verified: ", self.verified)?;
        if self.is_clean() {
            return f.write_str("all there, once each, in order");
        }
        write!(
            f,
            "{} gaps ({} numbers missing now), {} duplicates, {} out of order, {} without a number",
            self.gaps, self.missing, self.duplicates, self.out_of_order, self.unnumbered
        )
    }
}

/// The same counts as meters.
#[derive(Debug)]
pub(super) struct TallyMeters {
    verified: Counter,
    unnumbered: Counter,
    gaps: Counter,
    missing: Gauge,
    duplicates: Counter,
    out_of_order: Counter,
    told: Tally,
}

impl TallyMeters {
    pub(super) fn new(context: &Context) -> Self {
        Self {
            verified: context.counter("verified"),
            unnumbered: context.counter("unnumbered"),
            gaps: context.counter("gaps"),
            missing: context.gauge("missing"),
            duplicates: context.counter("duplicates"),
            out_of_order: context.counter("out_of_order"),
            told: Tally::default(),
        }
    }

    /// Brings the meters up to date: once for a batch, since they are shared between threads.
    pub(super) fn tell(&mut self, now: Tally) {
        self.verified.add(now.verified - self.told.verified);
        self.unnumbered.add(now.unnumbered - self.told.unnumbered);
        self.gaps.add(now.gaps - self.told.gaps);
        self.missing.set(now.missing);
        self.duplicates.add(now.duplicates - self.told.duplicates);
        self.out_of_order.add(now.out_of_order - self.told.out_of_order);
        self.told = now;
    }
}
