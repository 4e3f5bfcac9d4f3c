//! Where a batch stands in the store that handed it down.

use std::fmt;
use std::str::FromStr;

/// Names the positions of one store: 128 random bits, made by the store and kept in its directory. A store that may have to give a position twice takes
/// another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u128);

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for StreamId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

/// The place of a batch in a durable store: frame `n` of it stands at `first + n`. The same frame has the same position however often it is handed down, also
/// after a crash, in batches of any size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The store's positions.
    pub stream: StreamId,
    /// That of the batch's first frame.
    pub first: u64,
}

impl Position {
    /// The position so many frames behind this one.
    #[must_use]
    pub fn behind(self, frames: usize) -> Self {
        Self {
            first: self.first.saturating_add(frames as u64),
            ..self
        }
    }
}
