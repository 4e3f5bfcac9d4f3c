//! From a file's lines to batches, and what stands in the way.

use std::io::{self, BufRead};

use aqueduct_framework::batch::Batch;

use super::letter::{Letter, Stack};
use super::lines::{Line, Lines};

/// JSON writes a byte with six at most, as in `\u0000`.
const BYTES_PER_BYTE: u64 = 6;

/// What a letter may take beside its frame, in bytes.
const REST_BYTES: u64 = 1024 * 1024;

/// What came next.
pub(super) enum Found {
    /// Letters that belong together.
    Batch(Batch),
    /// The line read last is no letter, for this reason.
    Unreadable(String),
}

/// The letters of a file.
pub(super) struct Letters<R> {
    lines: Lines<R>,
    stack: Stack,
    max_frame_bytes: u64,
}

impl<R: BufRead> Letters<R> {
    /// Letters with frames of at most `max_frame_bytes`.
    pub(super) fn new(from: R, max_frame_bytes: u64) -> Self {
        let most = max_frame_bytes
            .saturating_mul(BYTES_PER_BYTE)
            .saturating_add(REST_BYTES);
        Self {
            lines: Lines::new(from, most),
            stack: Stack::default(),
            max_frame_bytes,
        }
    }

    /// The number of the line that was read last, from 1.
    pub(super) fn line(&self) -> u64 {
        self.lines.number()
    }

    /// Reads on; none at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Found>> {
        while let Some(line) = self.lines.next()? {
            let letter = match line {
                Line::Blank => continue,
                Line::TooLong => Err("it is longer than any frame of `max_frame_bytes` makes it".to_owned()),
                Line::Whole(line) => Letter::read(line, self.max_frame_bytes),
            };
            match letter.map(|letter| self.stack.push(letter)) {
                Ok(None) => {}
                Ok(Some(batch)) => return Ok(Some(Found::Batch(batch))),
                Err(why) => return Ok(Some(Found::Unreadable(why))),
            }
        }
        Ok(self.stack.take().map(Found::Batch))
    }
}
