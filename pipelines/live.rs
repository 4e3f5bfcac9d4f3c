//! Standard error while pipelines run: the log, and on a terminal one line per actor below it.
//!
//! Only the thread `log` writes there. Everybody else leaves what there is to write in a bounded queue and goes on, so that a full pipe, a
//! terminal stopped with Ctrl-S or a full device stops nothing but the log.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

use crate::terminal::{self, Size};

/// How long the end of the process waits for the last lines when nobody reads them.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Standard error, with a block of lines that stays at its end. Without a terminal the block is never drawn.
#[derive(Debug, Clone, Default)]
pub(crate) struct Screen(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// Something came, or all is written.
    changed: Condvar,
}

/// What is to be written.
#[derive(Debug, Default)]
struct Waiting {
    max_bytes: u64,
    bytes: u64,
    lines: VecDeque<Vec<u8>>,
    /// The newest block that is not drawn yet; older ones are not worth drawing.
    block: Option<Vec<String>>,
    /// The thread is in a write.
    writing: bool,
    /// Lines that found no room, in all, and as many of them as the log has been told.
    dropped: u64,
    told: u64,
}

/// What the thread does next.
enum Task {
    Line(Vec<u8>),
    Block(Vec<String>),
    /// All is written, and so many lines were not.
    Tell(u64),
}

impl Screen {
    /// Starts the thread that writes; at most `max_bytes` of lines wait for it.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(crate) fn start(max_bytes: u64) -> io::Result<Self> {
        let screen = Self::default();
        screen.lock().max_bytes = max_bytes;
        let own = screen.clone();
        std::thread::Builder::new()
            .name("log".into())
            .spawn(move || own.write_all())?;
        Ok(screen)
    }

    /// True when somebody could watch, on a terminal that can move its cursor.
    pub(crate) fn is_live() -> bool {
        io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
    }

    /// True where colours are wanted (<https://no-color.org>).
    pub(crate) fn has_colours() -> bool {
        Self::is_live() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
    }

    /// Of the terminal, as it is now.
    pub(crate) fn columns() -> usize {
        terminal::size_of(io::stderr()).columns
    }

    /// Replaces the block.
    pub(crate) fn show(&self, lines: Vec<String>) {
        self.lock().block = Some(lines);
        self.0.changed.notify_all();
    }

    /// Lines of log that found no room, because nobody read those before them.
    pub(crate) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// Waits until all is written, or for a second: what nobody reads then is lost with the process.
    pub(crate) fn finish(&self) {
        let waiting = self.lock();
        let busy = |waiting: &mut Waiting| waiting.writing || waiting.has_tasks();
        // Poisoned or too late: either way there is nothing more to wait for.
        let _ = self.0.changed.wait_timeout_while(waiting, LAST_WORDS, busy);
    }

    /// Takes a line, unless there is no room for it.
    fn push(&self, line: &[u8]) {
        let mut waiting = self.lock();
        let bytes = line.len() as u64;
        if waiting.bytes + bytes > waiting.max_bytes {
            waiting.dropped += 1;
            return;
        }
        waiting.bytes += bytes;
        waiting.lines.push_back(line.to_vec());
        self.0.changed.notify_all();
    }

    /// The thread.
    fn write_all(&self) {
        let mut block = Block::default();
        loop {
            match self.next() {
                Task::Line(line) => {
                    write(&block.redrawn(&line, terminal::size_of(io::stderr())));
                    self.lock().bytes -= line.len() as u64;
                }
                Task::Block(lines) => {
                    block.lines = lines;
                    write(&block.redrawn(&[], terminal::size_of(io::stderr())));
                }
                Task::Tell(lines) => tracing::warn!(
                    "{lines} lines of log were dropped: nobody read standard error, and [log] queue_bytes were full"
                ),
            }
            self.lock().writing = false;
        }
    }

    fn next(&self) -> Task {
        let mut waiting = self.lock();
        loop {
            if let Some(task) = waiting.next() {
                waiting.writing = true;
                return task;
            }
            self.0.changed.notify_all();
            waiting = self.0.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn has_tasks(&self) -> bool {
        !self.lines.is_empty() || self.block.is_some() || self.dropped > self.told
    }

    fn next(&mut self) -> Option<Task> {
        if let Some(line) = self.lines.pop_front() {
            return Some(Task::Line(line));
        }
        if self.dropped > self.told {
            let untold = self.dropped - std::mem::replace(&mut self.told, self.dropped);
            return Some(Task::Tell(untold));
        }
        self.block.take().map(Task::Block)
    }
}

/// Nobody is left to tell when standard error itself is gone. Not by `io::stderr`, whose lock a write that waits would keep from everybody.
fn write(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match rustix::io::write(io::stderr(), bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(rustix::io::Errno::INTR) => {}
            // A pipe that another process has set to non-blocking.
            Err(rustix::io::Errno::AGAIN) => std::thread::sleep(Duration::from_millis(20)),
            Err(_) => return,
        }
    }
}

/// The lines that stay at the end of the log.
#[derive(Debug, Default)]
struct Block {
    lines: Vec<String>,
    /// The lines as they stand on the terminal now.
    drawn: Vec<String>,
}

impl Block {
    /// What takes it away, writes `log`, and draws it below. Each line is cut to the terminal as it is now, so that it stays one row.
    fn redrawn(&mut self, log: &[u8], size: Size) -> Vec<u8> {
        let mut out = self.erased(size).into_bytes();
        out.extend_from_slice(log);
        self.drawn = self.fitted(size);
        for line in &self.drawn {
            // Without auto-wrap, in case the terminal takes a sign for wider than we do.
            out.extend_from_slice(format!("\x1b[?7l{line}\x1b[?7h\n").as_bytes());
        }
        out
    }

    /// ECMA-48: cursor up by the rows of the block, then erase to the end of the screen. A terminal that has been made narrower has wrapped what
    /// stood on it, as most do.
    fn erased(&self, size: Size) -> String {
        let rows: usize = self.drawn.iter().map(|line| terminal::rows(line, size.columns)).sum();
        match rows {
            0 => String::new(),
            rows => format!("\x1b[{rows}A\x1b[0J"),
        }
    }

    /// What scrolled out of the screen could not be taken away again, so the last row says how many lines have no room.
    fn fitted(&self, size: Size) -> Vec<String> {
        let room = size.rows.saturating_sub(1).max(1);
        let mut lines: Vec<_> = self
            .lines
            .iter()
            .map(|line| terminal::cut(line, size.columns))
            .collect();
        if lines.len() > room {
            let more = lines.split_off(room - 1).len();
            lines.push(terminal::cut(
                &format!("… and {more} more, see `aqueduct status`"),
                size.columns,
            ));
        }
        lines
    }
}

/// Leaves a log line to the thread that writes.
#[derive(Debug)]
pub(crate) struct Line(Screen);

impl Write for Line {
    /// One call is one line: the formatter writes each whole.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Screen {
    type Writer = Line;

    fn make_writer(&'a self) -> Self::Writer {
        Line(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(block: &mut Block, columns: usize, rows: usize) -> String {
        String::from_utf8(block.redrawn(b"", Size { columns, rows })).unwrap()
    }

    fn block(lines: &[&str]) -> Block {
        Block {
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
            drawn: Vec::new(),
        }
    }

    #[test]
    fn a_terminal_made_narrower_has_wrapped_the_lines_that_are_taken_away() {
        let mut block = block(&["a line of 20 columns", "short"]);
        assert!(!shown(&mut block, 20, 9).contains("\x1b[0J"));
        assert!(shown(&mut block, 20, 9).starts_with("\x1b[2A\x1b[0J"));
        assert!(shown(&mut block, 8, 9).starts_with("\x1b[4A\x1b[0J"));
        // Cut to 8 now: no line is wrapped any more, nor when it is wider again.
        assert!(shown(&mut block, 8, 9).starts_with("\x1b[2A\x1b[0J\x1b[?7la line\u{2026}\x1b[?7h\n"));
        assert!(shown(&mut block, 20, 9).ends_with("a line of 20 columns\x1b[?7h\n\x1b[?7lshort\x1b[?7h\n"));
    }

    #[test]
    fn a_block_is_never_higher_than_the_screen() {
        let mut block = block(&["a", "b", "c", "d"]);
        assert!(shown(&mut block, 80, 5).ends_with("d\x1b[?7h\n"));
        let text = shown(&mut block, 80, 4);
        assert!(
            text.ends_with("b\x1b[?7h\n\x1b[?7l… and 2 more, see `aqueduct status`\x1b[?7h\n"),
            "{text}"
        );
    }
}
