//! Options behind `--`: `cargo bench --bench relay -- --rounds 5`.

use std::collections::BTreeMap;

use super::Outcome;

/// The options of a benchmark: names with a number each.
pub(crate) struct Options(BTreeMap<&'static str, f64>);

impl Options {
    /// Reads the arguments. `known` are the names with their defaults. None: Cargo runs the benchmarks as tests, and measuring would take minutes.
    ///
    /// # Errors
    /// When an argument is unknown or is not followed by a number.
    pub(crate) fn read(known: &[(&'static str, f64)]) -> Outcome<Option<Self>> {
        let mut values: BTreeMap<_, _> = known.iter().copied().collect();
        let mut measuring = false;
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            if argument == "--bench" {
                measuring = true;
                continue;
            }
            let name = argument.strip_prefix("--").unwrap_or_default();
            let value = values.iter_mut().find(|(known, _)| **known == name);
            let text = arguments.next().unwrap_or_default();
            match (value, text.parse::<f64>()) {
                (Some((_, value)), Ok(number)) if number >= 0.0 => *value = number,
                _ => return Err(usage(known).into()),
            }
        }
        Ok(measuring.then_some(Self(values)))
    }

    /// The value of an option; 0 for a name that [`Options::read`] was not given.
    pub(crate) fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(0.0)
    }

    /// The same as a count.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.get(name) as usize
    }
}

fn usage(known: &[(&'static str, f64)]) -> String {
    let names = known.iter().map(|(name, value)| format!(" [--{name} {value}]"));
    format!("usage: cargo bench --bench NAME --{}", names.collect::<String>())
}
