//! Standard error while pipelines run: the log, and on a terminal one line per actor below it.
//!
//! Only the thread `log` writes there. Everybody else leaves what there is to write in a bounded queue and goes on, so that a full pipe, a
//! terminal stopped with Ctrl-S or a full device stops nothing but the log.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

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
        let mut block = Vec::new();
        loop {
            match self.next() {
                Task::Line(line) => {
                    let mut out = erased(&block).into_bytes();
                    out.extend_from_slice(&line);
                    out.extend_from_slice(drawn(&block).as_bytes());
                    write(&out);
                    self.lock().bytes -= line.len() as u64;
                }
                Task::Block(lines) => {
                    let out = erased(&block) + &drawn(&lines);
                    block = lines;
                    write(out.as_bytes());
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

/// ECMA-48: cursor up by the block's lines, then erase to the end of the screen.
fn erased(block: &[String]) -> String {
    if block.is_empty() {
        String::new()
    } else {
        format!("\x1b[{}A\x1b[0J", block.len())
    }
}

/// Each line cut to the terminal as it is now, so that it stays one line and the block keeps its height.
fn drawn(block: &[String]) -> String {
    let columns = rustix::termios::tcgetwinsize(io::stderr()).map_or(80, |size| usize::from(size.ws_col));
    let columns = if columns == 0 { 80 } else { columns };
    block
        .iter()
        .map(|line| format!("\x1b[?7l{}\x1b[?7h\n", crate::words::cut(line, columns)))
        .collect()
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
