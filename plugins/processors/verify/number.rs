//! Finds the sequence number in a frame.

use aqueduct_framework::batch::Frame;
use aqueduct_framework::error::{Error, Result};
use regex::bytes::Regex;

/// Where the number stands.
pub(super) enum Place {
    /// In a column, from 0.
    Column { separator: u8, index: usize },
    /// Where the first group of a pattern matches.
    Pattern(Regex),
}

impl Place {
    /// A column of a separator that is one byte.
    pub(super) fn column(separator: &str, index: usize) -> Result<Self> {
        match separator.as_bytes() {
            [separator] => Ok(Self::Column {
                separator: *separator,
                index,
            }),
            _ => Err(Error::fatal(format!(
                "`separator` = {separator:?} should be one byte, such as \",\""
            ))),
        }
    }

    /// A pattern with exactly one group.
    pub(super) fn pattern(pattern: &str) -> Result<Self> {
        let regex = Regex::new(pattern).map_err(|error| {
            Error::fatal(format!("`pattern` = {pattern:?} is no regular expression")).because(error)
        })?;
        match regex.captures_len() {
            2 => Ok(Self::Pattern(regex)),
            groups => Err(Error::fatal(format!(
                "`pattern` = {pattern:?} should have one group, around the number; it has {}",
                groups - 1
            ))),
        }
    }

    /// The number, when the frame has one that 64 bits hold.
    pub(super) fn number(&self, frame: Frame<'_>) -> Option<u64> {
        let digits = match self {
            Self::Column { separator, index } => frame.field(*separator, *index)?,
            Self::Pattern(regex) => regex.captures(frame.bytes())?.get(1)?.as_bytes(),
        };
        parse(digits.trim_ascii())
    }
}

fn parse(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}
