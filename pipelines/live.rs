//! Live lines: one per actor at the bottom of a terminal, with the log scrolling above them.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

/// Standard error, with a block of lines that stays at its end. Without a terminal the block is never drawn.
#[derive(Debug, Clone, Default)]
pub(crate) struct Screen(Arc<Mutex<Block>>);

#[derive(Debug, Default)]
struct Block {
    lines: Vec<String>,
}

impl Screen {
    /// True when somebody could watch.
    pub(crate) fn is_live() -> bool {
        io::stderr().is_terminal()
    }

    /// Replaces the block.
    pub(crate) fn show(&self, lines: Vec<String>) {
        let mut block = self.lock();
        let mut out = block.erased();
        block.lines = lines;
        out += &block.drawn();
        // Nobody is left to tell when standard error itself is gone.
        let _ = io::stderr().write_all(out.as_bytes());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Block> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Block {
    /// ECMA-48: cursor up by the block's lines, then erase to the end of the screen.
    fn erased(&self) -> String {
        if self.lines.is_empty() {
            String::new()
        } else {
            format!("\x1b[{}A\x1b[0J", self.lines.len())
        }
    }

    fn drawn(&self) -> String {
        // Without auto-wrap a long line stays one line, and the block keeps its height.
        let lines = self.lines.iter().map(|line| format!("\x1b[?7l{line}\x1b[?7h\n"));
        lines.collect()
    }
}

/// Writes a log line above the block.
#[derive(Debug)]
pub(crate) struct Above(Screen);

impl Write for Above {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let block = self.0.lock();
        let mut out = block.erased().into_bytes();
        out.extend_from_slice(bytes);
        out.extend_from_slice(block.drawn().as_bytes());
        io::stderr().write_all(&out)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for Screen {
    type Writer = Above;

    fn make_writer(&'a self) -> Self::Writer {
        Above(self.clone())
    }
}
