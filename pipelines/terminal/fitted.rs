//! A writer of text that wraps its lines where they go to a terminal.

use std::io::{self, Write};

use super::wrapped;

/// How far the lines stand in that a line goes on with.
const HANG: usize = 4;

/// Passes text on, each line wrapped between words; unchanged where there is no terminal.
#[derive(Debug)]
pub(crate) struct Fitted<W: Write> {
    to: W,
    columns: Option<usize>,
    /// What came of the line that has not ended yet.
    begun: Vec<u8>,
}

impl<W: Write> Fitted<W> {
    /// Fitted to so many columns; unchanged without them.
    pub(crate) fn new(to: W, columns: Option<usize>) -> Self {
        Self {
            to,
            columns,
            begun: Vec::new(),
        }
    }
}

impl<W: Write> Write for Fitted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(columns) = self.columns else {
            return self.to.write(bytes);
        };
        self.begun.extend_from_slice(bytes);
        while let Some(end) = self.begun.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.begun.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line[..end]);
            writeln!(self.to, "{}", wrapped(&line, columns, HANG))?;
        }
        Ok(bytes.len())
    }

    /// A line that has not ended is kept until it does.
    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
