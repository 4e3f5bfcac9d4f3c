//! Lines of bounded length.

use std::io::{self, BufRead};

/// What stands between two newlines.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Without its newline; the last one may have had none.
    Whole(&'a [u8]),
    /// Nothing but white space.
    Blank,
    /// More than may be kept in memory. It was passed over.
    TooLong,
}

/// Cuts what it reads into lines.
pub(super) struct Lines<R> {
    from: R,
    most_bytes: u64,
    line: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    /// Keeps lines of at most `most_bytes`.
    pub(super) fn new(from: R, most_bytes: u64) -> Self {
        Self {
            from,
            most_bytes,
            line: Vec::new(),
            number: 0,
        }
    }

    /// The number of the line that came last, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The next line; none at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        let most = self.most_bytes.saturating_add(1);
        if io::Read::take(&mut self.from, most).read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        if self.line.pop_if(|last| *last == b'\n').is_none() && self.line.len() as u64 > self.most_bytes {
            self.from.skip_until(b'\n')?;
            return Ok(Some(Line::TooLong));
        }
        let blank = self.line.iter().all(u8::is_ascii_whitespace);
        Ok(Some(if blank { Line::Blank } else { Line::Whole(&self.line) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_numbered_and_those_too_long_passed_over() {
        let mut lines = Lines::new(&b"one\n\n \r\n12345\n123456\n1234567890\nend"[..], 5);
        let mut all = Vec::new();
        while let Some(line) = lines.next().expect("memory can be read") {
            all.push(match line {
                Line::Whole(line) => String::from_utf8_lossy(line).into_owned(),
                Line::Blank => "blank".to_owned(),
                Line::TooLong => "too long".to_owned(),
            });
        }
        assert_eq!(all, ["one", "blank", "blank", "12345", "too long", "too long", "end"]);
        assert_eq!(lines.number(), 7);
    }
}
