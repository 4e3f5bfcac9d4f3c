//! What a store with named cursors has promised, and what a start must find of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use aqueduct::framework::spill::named::Recovered;

use crate::store::Promises;

/// What a cursor was promised, over all starts.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    /// It is said to be durable.
    pub(super) made: bool,
    /// It is said to be forgotten.
    pub(super) forgotten: bool,
    /// It was to be made or forgotten, and that failed: nothing is kept for it any more, and a power cut may bring it back.
    pub(super) doubted: bool,
    /// The furthest that was ever settled for it.
    pub(super) settled: u64,
    /// What of that is said to be durable.
    pub(super) durable: u64,
}

/// What a store with readers was told, and has promised.
#[derive(Debug, Clone, Default)]
pub(super) struct Crowd {
    pub(super) promises: Promises,
    pub(super) kept: BTreeMap<Arc<str>, Kept>,
    /// Retention was told to delete no more than what lies below.
    pub(super) dropped: u64,
}

impl Crowd {
    /// What is promised in the middle of a step that ended with `now`: done is what was done before, asked for what has been asked for since.
    pub(super) fn amid(&self, now: &Self) -> Self {
        let mut amid = now.clone();
        amid.promises.acknowledged = self.promises.acknowledged;
        for (name, kept) in &mut amid.kept {
            let before = self.kept.get(name).cloned().unwrap_or_default();
            kept.made &= before.made;
            kept.forgotten &= before.forgotten;
            kept.settled = kept.settled.max(before.settled);
            kept.doubted |= before.doubted;
            kept.durable = kept.durable.min(before.durable);
        }
        amid
    }
}

/// Checks what a start finds against what was promised. Of a file that was damaged, or not read, a cursor may lag.
pub(super) fn check_found(
    found: &[Recovered],
    kept: &mut BTreeMap<Arc<str>, Kept>,
    floor: u64,
    dropped: &mut u64,
    may_lag: impl Fn(&Recovered) -> bool,
) -> Result<(), String> {
    for (name, kept) in &*kept {
        let there = found.iter().any(|found| found.name == *name);
        if kept.made && !there {
            return Err(format!("the cursor {name} was durable, and is not there"));
        }
        if kept.forgotten && there {
            return Err(format!("the cursor {name} was forgotten, and is there"));
        }
    }
    for found in found {
        let (name, position) = (&found.name, found.position);
        let kept = kept
            .get_mut(name)
            .ok_or_else(|| format!("nobody made a cursor {name}"))?;
        if kept.doubted {
            *dropped = floor.max(*dropped);
            kept.doubted = false;
        }
        if position > kept.settled.max(*dropped) {
            return Err(format!("the cursor {name} leads: {position} of {}", kept.settled));
        }
        if may_lag(found) {
            kept.durable = position;
            *dropped = floor.max(*dropped);
        } else if position < kept.durable {
            return Err(format!("the cursor {name} fell back: {position} of {}", kept.durable));
        } else if floor > position.max(*dropped) {
            return Err(format!(
                "the store is settled up to {floor}, the cursor {name} up to {position}"
            ));
        }
        (kept.made, kept.forgotten) = (true, false);
        kept.settled = kept.settled.max(position).max(floor);
    }
    Ok(())
}
