//! Options behind `--`: `cargo bench --bench relay -- --rounds 5`.

use std::collections::BTreeMap;

use super::Outcome;

/// The options of a benchmark: names with a number each, and `--only PART`.
pub(crate) struct Options {
    values: BTreeMap<&'static str, f64>,
    only: Option<String>,
}

impl Options {
    /// Reads the arguments. `known` are the names with their defaults. None: Cargo runs the benchmarks as tests, and measuring would take minutes.
    ///
    /// # Errors
    /// When an argument is unknown or is not followed by a number.
    pub(crate) fn read(known: &[(&'static str, f64)]) -> Outcome<Option<Self>> {
        let mut values: BTreeMap<_, _> = known.iter().copied().collect();
        let (mut measuring, mut only) = (false, None);
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            if argument == "--bench" {
                measuring = true;
                continue;
            }
            if argument == "--only" {
                only = Some(arguments.next().ok_or_else(|| usage(known))?);
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
        Ok(measuring.then_some(Self { values, only }))
    }

    /// The value of an option; 0 for a name that [`Options::read`] was not given.
    pub(crate) fn get(&self, name: &str) -> f64 {
        self.values.get(name).copied().unwrap_or(0.0)
    }

    /// Whether this part is to be measured.
    pub(crate) fn includes(&self, part: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == part)
    }

    /// The same as a count.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.get(name) as usize
    }
}

fn usage(known: &[(&'static str, f64)]) -> String {
    let names = known.iter().map(|(name, value)| format!(" [--{name} {value}]"));
    format!(
        "usage: cargo bench --bench NAME --{} [--only PART]",
        names.collect::<String>()
    )
}
