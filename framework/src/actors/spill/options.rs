//! A store's table in the config as the options of its parts.

use std::time::Duration;

use crate::config::{self, SpillConfig};
use crate::spill::{Persist, Retention, SpillOptions, WhenFull};
use crate::units::Period;

pub(super) fn options(config: &SpillConfig, owner: &str) -> SpillOptions {
    SpillOptions {
        directory: config.directory.clone(),
        memory_bytes: config.memory_bytes.bytes(),
        memory_age: config.memory_age.duration(),
        max_bytes: config.max_bytes.bytes(),
        when_full: match config.when_full {
            config::WhenFull::Block => WhenFull::Block,
            config::WhenFull::DropNewest => WhenFull::DropNewest,
            config::WhenFull::DropOldest => WhenFull::DropOldest,
        },
        persist: match config.persist {
            config::Persist::Overflow => Persist::Overflow,
            config::Persist::Always => Persist::Always,
        },
        segment_bytes: config.segment_bytes.bytes(),
        commit_bytes: config.commit_bytes.bytes(),
        commit_delay: config
            .commit_delay
            .map_or_else(|| default_delay(config.persist), Period::duration),
        in_flight_bytes: config.in_flight_bytes.bytes(),
        read_ahead_bytes: config.read_ahead_bytes.bytes(),
        quarantine_bytes: config.quarantine_bytes.bytes(),
        mode: config.mode,
        owner: owner.to_owned(),
        retention: config.retain_bytes.map(|bytes| Retention {
            bytes: bytes.bytes(),
            age: config.retain_age.map(Period::duration),
            max_cursors: u64::from(config.max_cursors),
        }),
    }
}

/// With `always` somebody may wait for each receipt; with `overflow` a receipt may be as old as `memory_age` anyway.
fn default_delay(persist: config::Persist) -> Duration {
    match persist {
        config::Persist::Overflow => Duration::from_millis(50),
        config::Persist::Always => Duration::from_millis(2),
    }
}
