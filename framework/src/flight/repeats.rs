//! What is said aloud: the first of equal reports, and then only when their number doubles, until there was peace for a while.

use std::collections::BTreeMap;
use std::fmt;

use super::judge::time;

/// After this long without one of its kind the next is the first again.
const PEACE_MS: u64 = 60_000;

/// The first reports of a kind are all kept in the journal.
const KEPT: u64 = 16;

/// Counts what is alike, told by a key such as the cause. Times are milliseconds of any clock that does not go back. The keys must be few: none
/// is ever forgotten.
#[derive(Debug)]
pub struct Repeats<K> {
    seen: BTreeMap<K, Seen>,
}

impl<K> Default for Repeats<K> {
    fn default() -> Self {
        Self { seen: BTreeMap::new() }
    }
}

#[derive(Debug)]
struct Seen {
    first_ms: u64,
    last_ms: u64,
    count: u64,
}

/// How often the like was heard since there was peace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// Those of its kind, this one included.
    pub count: u64,
    /// Since the first of them, in milliseconds.
    pub within_ms: u64,
}

impl Heard {
    /// Whether the log should say it: the first, the second, the fourth, the eighth ...
    pub fn aloud(self) -> bool {
        self.count.is_power_of_two()
    }

    /// Whether the journal should keep it: the first sixteen, then as in the log. One peer in a loop must not push out all others.
    pub fn kept(self) -> bool {
        self.count <= KEPT || self.aloud()
    }
}

/// Nothing for the first; for others what follows the sentence in the log.
impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            0 | 1 => Ok(()),
            count => write!(
                f,
                " (number {count} of its kind within {}; the log goes on at number {})",
                time(self.within_ms),
                2 * count
            ),
        }
    }
}

impl<K: Ord> Repeats<K> {
    /// Notes one more of its kind.
    pub fn note(&mut self, now_ms: u64, kind: K) -> Heard {
        let seen = self.seen.entry(kind).or_insert(Seen {
            first_ms: now_ms,
            last_ms: now_ms,
            count: 0,
        });
        if now_ms.saturating_sub(seen.last_ms) >= PEACE_MS {
            (seen.first_ms, seen.count) = (now_ms, 0);
        }
        seen.last_ms = now_ms;
        seen.count += 1;
        Heard {
            count: seen.count,
            within_ms: now_ms.saturating_sub(seen.first_ms),
        }
    }
}
