//! Measured figures against the targets of the design, as one Markdown table.

use std::fmt;

/// A figure the design promises.
pub(crate) struct Target {
    figure: &'static str,
    unit: &'static str,
    least: f64,
    aim: f64,
}

/// The targets, in the design's order. Where `aim` is below `least`, less is better.
pub(crate) mod targets {
    use super::Target;

    const fn target(figure: &'static str, unit: &'static str, least: f64, aim: f64) -> Target {
        Target {
            figure,
            unit,
            least,
            aim,
        }
    }

    pub(crate) const THROUGH: Target = target(
        "TCP in -> frames -> processor -> TCP out, against a plain C relay",
        "x",
        0.75,
        0.95,
    );
    pub(crate) const READER: Target = target("reader with framing, against a C read loop", "x", 0.85, 1.0);
    pub(crate) const CPU: Target = target("CPU per GB, against the C relay", "x", 1.35, 1.15);
    pub(crate) const SPILL: Target = target("spill, durable, against append + fdatasync", "x", 0.5, 0.7);
    pub(crate) const REOPEN: Target = target("reopen after kill -9", "ms", 1000.0, 50.0);
    pub(crate) const LATENCY: Target = target("added median latency at low load", "us", 15.0, 5.0);
    pub(crate) const MEMORY: Target = target(
        "memory with the destination gone, above memory_bytes",
        "MiB",
        64.0,
        32.0,
    );
    pub(crate) const LINES: Target = target("lines through, 1 connection", "M/s", 10.0, 16.0);
    pub(crate) const LINES_IN: Target = target("lines into the spill store, destination absent", "M/s", 4.0, 7.0);
    pub(crate) const LINES_OUT: Target = target("lines out of it when the destination is back", "M/s", 4.0, 10.0);
    pub(crate) const TRACED_FEW: Target = target("throughput that tracing 1 % of the batches costs", "%", 1.0, 0.5);
    pub(crate) const TRACED_EVERY: Target = target("throughput that tracing all batches costs", "%", 5.0, 2.5);
    pub(crate) const SETTLED: Target = target("through with `settled`, against `written`", "x", 0.9, 0.97);
    pub(crate) const DISK: Target = target("disk bytes per 100-byte line", "bytes", 110.0, 103.0);
}

impl Target {
    fn reached(&self, value: f64) -> &'static str {
        let as_good = |as_what| {
            if self.aim < self.least {
                value <= as_what
            } else {
                value >= as_what
            }
        };
        match (as_good(self.aim), as_good(self.least)) {
            (true, _) => "aim reached",
            (_, true) => "at least reached",
            _ => "missed",
        }
    }
}

/// One figure over several rounds.
pub(crate) struct Series(Vec<f64>);

impl Series {
    /// The figure's value in each round; non-numbers count as 0.
    pub(crate) fn new(values: impl IntoIterator<Item = f64>) -> Self {
        let finite = |value: f64| if value.is_finite() { value } else { 0.0 };
        let mut values: Vec<f64> = values.into_iter().map(finite).collect();
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The value below which this share of the values lies; 0 without any.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0
            .get((last as f64 * share).round() as usize)
            .copied()
            .unwrap_or(0.0)
    }

    /// The middle value; between the two in the middle when their number is even.
    pub(crate) fn median(&self) -> f64 {
        let (upper, lower) = (self.0.len() / 2, self.0.len().saturating_sub(1) / 2);
        match (self.0.get(lower), self.0.get(upper)) {
            (Some(lower), Some(upper)) => f64::midpoint(*lower, *upper),
            _ => 0.0,
        }
    }
}

/// Writes median, minimum and maximum.
impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (median, least, most) = (self.median(), self.quantile(0.0), self.quantile(1.0));
        write!(f, "{median:.3} ({least:.3} to {most:.3})")
    }
}

/// The figures of a run, collected and then printed.
#[derive(Default)]
pub(crate) struct Figures(Vec<String>);

impl Figures {
    /// A figure that the design promises.
    pub(crate) fn promised(&mut self, target: &Target, series: &Series) {
        let Target {
            figure,
            unit,
            least,
            aim,
        } = target;
        let verdict = target.reached(series.median());
        self.0
            .push(format!("| {figure} | {series} {unit} | {least} | {aim} | {verdict} |"));
    }

    /// A figure for comparison.
    pub(crate) fn seen(&mut self, figure: &str, unit: &str, series: &Series) {
        self.0.push(format!("| {figure} | {series} {unit} | | | |"));
    }

    /// Prints them as a table.
    pub(crate) fn print(&self) {
        println!("\n| figure | median (min to max) | at least | aim | |\n|---|---|---|---|---|");
        self.0.iter().for_each(|row| println!("{row}"));
        println!();
    }
}
