//! The sink `table`: keeps a CSV file with one line for each probe: how many readings, the lowest, the mean, the highest, their total.
//!
//! When `write` returns, frames count as delivered and are not kept anywhere else, so by then the file on disk has them. And because
//! frames may come again, after a crash or a failed write, the file also says how far it has come: what it has counted it does not count twice.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use aqueduct::framework::batch::Frame;
use aqueduct::framework::error::{Error, Result};
use aqueduct::framework::plugin::{Context, Delivery, Placement, Sink};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::deadband::reading;

/// Keeps a CSV file with the number, the lowest, the mean and the highest of each probe's readings.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The file, relative to the pipeline file. It is written anew for every batch.
    path: PathBuf,
}

/// The plugin.
pub struct Table {
    path: PathBuf,
    sums: Sums,
}

impl Sink for Table {
    type Config = Config;
    const NAME: &'static str = "table";
    const SAMPLE: &'static str = r#"type = "table"
path = "table.csv"
"#;
    // Disks block.
    const PLACEMENT: Placement = Placement::Own;
    // `aqueduct check` refuses two actors that write one file.
    const PATHS: &'static [&'static str] = &["path"];

    // Nothing is opened here: `aqueduct check` builds the plugin too.
    fn new(config: Config, context: &Context) -> Result<Self> {
        Ok(Self {
            path: context.path(config.path),
            sums: Sums::default(),
        })
    }

    async fn open(&mut self) -> Result<()> {
        self.sums = match fs::read_to_string(&self.path) {
            // Trying again does not help, and writing over somebody's file would not be forgiven.
            Ok(text) => Sums::parse(&text)
                .ok_or_else(|| Error::fatal(format!("{} is no table; move it away", self.path.display())))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Sums::default(),
            Err(error) => return Err(self.unavailable("read", error)),
        };
        Ok(())
    }

    async fn write(&mut self, delivery: &mut Delivery) -> Result<()> {
        let mut sums = self.sums.clone();
        let epoch = delivery.batch().numbers.epoch;
        let rest = delivery.batch().frames().skip(delivery.frames_written());
        let good = rest.take_while(|frame| sums.add(*frame, epoch).is_some()).count();
        // Until the file is replaced nothing has happened, so that a failure here leaves nothing to undo.
        self.replace(&sums).map_err(|error| self.unavailable("write", error))?;
        self.sums = sums;
        // Taking a frame says that the one before it is written, so they are taken only now.
        for _ in 0..good {
            delivery.next_frame();
        }
        match delivery.next_frame() {
            // An error is about the frame in hand. The framework sets it aside and calls again for those behind it.
            Some(_) => Err(Error::rejected("no reading such as `7,21.500`")),
            None => Ok(()),
        }
    }
}

impl Table {
    /// The old file or the new one, never a half: also if the power goes.
    fn replace(&self, sums: &Sums) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let draft = self.path.with_extension("draft");
        let mut file = File::create(&draft)?;
        file.write_all(sums.text().as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, &self.path)
    }

    fn unavailable(&self, what: &str, error: io::Error) -> Error {
        Error::unavailable(format!("cannot {what} {}", self.path.display())).because(error)
    }
}

/// What is in the file.
#[derive(Debug, Clone, PartialEq, Default)]
struct Sums {
    /// For each source the number of the last frame that was counted, with the epoch in which that source counts.
    counted: BTreeMap<String, (u64, u64)>,
    probes: BTreeMap<String, Sum>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Sum {
    readings: u32,
    lowest: f64,
    total: f64,
    highest: f64,
}

const HEADER: &str = "probe,readings,lowest,mean,highest,total";

impl Sums {
    /// None when the frame is no reading. Order is per source, so a number that is not higher was here before.
    fn add(&mut self, frame: Frame<'_>, epoch: u64) -> Option<()> {
        let (probe, degrees) = reading(frame)?;
        let position = (epoch, frame.number());
        if self.counted.get(frame.source()).is_some_and(|last| position <= *last) {
            return Some(());
        }
        self.counted.insert(frame.source().to_owned(), position);
        let sum = self.probes.entry(probe.to_owned()).or_insert(Sum {
            readings: 0,
            lowest: degrees,
            total: 0.0,
            highest: degrees,
        });
        sum.readings += 1;
        sum.lowest = sum.lowest.min(degrees);
        sum.total += degrees;
        sum.highest = sum.highest.max(degrees);
        Some(())
    }

    fn text(&self) -> String {
        let mut text = format!("{HEADER}\n");
        for (probe, sum) in &self.probes {
            let mean = sum.total / f64::from(sum.readings);
            let Sum {
                readings,
                lowest,
                total,
                highest,
            } = sum;
            text += &format!("{probe},{readings},{lowest},{mean:.3},{highest},{total:.3}\n");
        }
        for (source, (epoch, number)) in &self.counted {
            text += &format!("# {source},{epoch},{number}\n");
        }
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let mut sums = Self::default();
        let lines = text.strip_prefix(HEADER)?.lines().filter(|line| !line.is_empty());
        for line in lines {
            if let Some(line) = line.strip_prefix("# ") {
                let (source, numbers) = line.split_once(',')?;
                let (epoch, number) = numbers.split_once(',')?;
                let position = (epoch.parse().ok()?, number.parse().ok()?);
                sums.counted.insert(source.to_owned(), position);
                continue;
            }
            let [probe, readings, lowest, _, highest, total] = line.split(',').collect::<Vec<_>>().try_into().ok()?;
            let sum = Sum {
                readings: readings.parse().ok()?,
                lowest: lowest.parse().ok()?,
                total: total.parse().ok()?,
                highest: highest.parse().ok()?,
            };
            sums.probes.insert(probe.to_owned(), sum);
        }
        Some(sums)
    }
}

#[cfg(test)]
mod tests;
