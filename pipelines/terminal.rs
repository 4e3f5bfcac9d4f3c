//! What fits a terminal: its size, and lines that are cut or wrapped to it.

mod fitted;
mod table;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

use unicode_width::UnicodeWidthChar;

pub(crate) use fitted::Fitted;
pub(crate) use table::table;

/// A terminal's size in cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

/// The size as it is now; that of a VT100 where nobody says another.
pub(crate) fn size_of(terminal: impl AsFd) -> Size {
    let size = rustix::termios::tcgetwinsize(terminal);
    let or = |cells: Option<u16>, usual| match cells {
        None | Some(0) => usual,
        Some(cells) => usize::from(cells),
    };
    Size {
        columns: or(size.as_ref().ok().map(|size| size.ws_col), 80),
        rows: or(size.as_ref().ok().map(|size| size.ws_row), 24),
    }
}

/// The columns of standard output, where that is a terminal: what goes to a file or a pipe has no width.
pub(crate) fn columns() -> Option<usize> {
    columns_of(&io::stdout())
}

/// The columns of an output, where that is a terminal.
pub(crate) fn columns_of(out: &(impl AsFd + IsTerminal)) -> Option<usize> {
    out.is_terminal().then(|| size_of(out).columns)
}

/// The cells that a line takes.
pub(crate) fn width(line: &str) -> usize {
    line.chars().map(cells).sum()
}

fn cells(sign: char) -> usize {
    sign.width().unwrap_or(0)
}

/// A line of at most so many cells; one that is longer ends with an ellipsis.
pub(crate) fn cut(line: &str, columns: usize) -> String {
    if width(line) <= columns {
        return line.to_owned();
    }
    let mut left = columns.saturating_sub(1);
    let fitting = line.chars().take_while(|sign| {
        let fits = cells(*sign) <= left;
        left = left.saturating_sub(cells(*sign));
        fits
    });
    let mut line: String = fitting.collect();
    line.truncate(line.trim_end().len());
    line.push('…');
    line
}

/// A line as several of at most so many cells, parted between words; all but the first stand in by `hang` more cells than the first does.
pub(crate) fn wrapped(line: &str, columns: usize, hang: usize) -> String {
    let indent = line.len() - line.trim_start_matches(' ').len();
    let begin = (indent + hang).min(columns / 2);
    let (mut text, mut used) = (String::new(), 0);
    for piece in line.split_inclusive(' ') {
        let word = piece.trim_end_matches(' ');
        if used + width(word) > columns && used > begin && !word.is_empty() {
            next_line(&mut text, begin);
            used = begin;
        }
        for sign in word.chars() {
            if used + cells(sign) > columns && used > begin {
                next_line(&mut text, begin);
                used = begin;
            }
            text.push(sign);
            used += cells(sign);
        }
        if word.len() < piece.len() {
            text.push(' ');
            used += 1;
        }
    }
    text.truncate(text.trim_end_matches(' ').len());
    text
}

fn next_line(text: &mut String, begin: usize) {
    text.truncate(text.trim_end_matches(' ').len());
    text.push('\n');
    text.extend(std::iter::repeat_n(' ', begin));
}

/// The rows that a line takes which was drawn on one row, when the terminal has been made narrower since.
pub(crate) fn rows(line: &str, columns: usize) -> usize {
    let (mut rows, mut used) = (1, 0);
    for sign in line.chars() {
        if used + cells(sign) > columns && used > 0 {
            rows += 1;
            used = 0;
        }
        used += cells(sign);
    }
    rows
}
