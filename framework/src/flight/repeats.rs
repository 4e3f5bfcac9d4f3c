//! What is said aloud: the first of equal reports, and then only when their number doubles, until there was peace for a while.

use std::collections::BTreeMap;

use super::Cause;

/// After this long without one of its kind a report is the first again.
const PEACE_MS: u64 = 60_000;

/// Counts equal reports. Times are milliseconds of any clock that does not go back.
#[derive(Debug, Default)]
pub struct Repeats {
    seen: BTreeMap<Cause, Seen>,
}

#[derive(Debug)]
struct Seen {
    first_ms: u64,
    last_ms: u64,
    count: u64,
}

/// What to do with a report's line in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Say {
    /// Say it: it is the first.
    First,
    /// Say it, with the number of its kind so far and the time in which they came, in milliseconds.
    Again {
        /// Reports of this cause, this one included.
        count: u64,
        /// Since the first of them.
        within_ms: u64,
    },
    /// Only count it.
    Nothing,
}

impl Repeats {
    /// Notes a report.
    pub fn note(&mut self, now_ms: u64, cause: Cause) -> Say {
        let seen = self.seen.entry(cause).or_insert(Seen {
            first_ms: now_ms,
            last_ms: now_ms,
            count: 0,
        });
        if now_ms.saturating_sub(seen.last_ms) >= PEACE_MS {
            (seen.first_ms, seen.count) = (now_ms, 0);
        }
        seen.last_ms = now_ms;
        seen.count += 1;
        match seen.count {
            1 => Say::First,
            count if count.is_power_of_two() => Say::Again {
                count,
                within_ms: now_ms.saturating_sub(seen.first_ms),
            },
            _ => Say::Nothing,
        }
    }
}
