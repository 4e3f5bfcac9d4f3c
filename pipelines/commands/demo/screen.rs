//! What the audience sees: paragraphs, and one live line that is redrawn on a terminal and sparse elsewhere.

use std::io::{self, IsTerminal, Write};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::terminal;

/// How often the live line appears where it cannot be redrawn.
const SPARSE: Duration = Duration::from_secs(2);

/// The longest lines of text that read well.
const READABLE: usize = 110;

/// Colours, as SGR parameters of ECMA-48.
const TITLE: &str = "1;36";
const GOOD: &str = "1;32";
const BAD: &str = "1;31";
const QUIET: &str = "2";

/// Standard output.
pub(super) struct Screen {
    terminal: bool,
    colours: bool,
    /// The live line that stands at the cursor.
    live: Option<String>,
    last_sparse: Option<Instant>,
}

impl Screen {
    pub(super) fn new() -> Self {
        let terminal = io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        // https://no-color.org
        let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            terminal,
            colours,
            live: None,
            last_sparse: None,
        }
    }

    /// The columns there are for text; without a terminal as many as read well.
    pub(super) fn columns(&self) -> usize {
        let all = terminal::columns().filter(|_| self.terminal);
        all.map_or(READABLE, |columns| columns.min(READABLE))
    }

    /// The columns there are for the live line, which may be as long as the terminal is wide.
    pub(super) fn live_columns(&self) -> usize {
        terminal::columns().filter(|_| self.terminal).unwrap_or(READABLE)
    }

    pub(super) fn title(&mut self, text: &str) {
        self.write("\n");
        self.paragraph(Some(TITLE), text);
    }

    pub(super) fn say(&mut self, text: &str) {
        self.paragraph(None, text);
    }

    pub(super) fn quiet(&mut self, text: &str) {
        self.paragraph(Some(QUIET), text);
    }

    pub(super) fn good(&mut self, text: &str) {
        self.paragraph(Some(GOOD), text);
    }

    pub(super) fn bad(&mut self, text: &str) {
        self.paragraph(Some(BAD), text);
    }

    /// A table whose first line is its head.
    pub(super) fn table(&mut self, lines: &[String]) {
        let columns = self.columns();
        for (row, line) in lines.iter().enumerate() {
            let line = terminal::cut(line, columns);
            let line = if row == 0 { self.painted(QUIET, &line) } else { line };
            self.write(&format!("{line}\n"));
        }
    }

    /// Progress: replaces the live line; without a terminal one line every two seconds.
    pub(super) fn progress(&mut self, text: &str) {
        let columns = self.live_columns();
        let line = terminal::cut(&format!("  {}", text.trim_end()), columns);
        if self.terminal {
            let before = self.live.replace(line.clone());
            let erased = before.map_or_else(String::new, |before| erased(&before, columns));
            // Without auto-wrap, in case the terminal takes a sign for wider than we do.
            put(&format!("{erased}\x1b[?7l{line}\x1b[?7h"));
        } else if self.last_sparse.is_none_or(|last| last.elapsed() >= SPARSE) {
            self.last_sparse = Some(Instant::now());
            put(&format!("{line}\n"));
        }
    }

    /// Leaves the live line as it is and goes on below it.
    pub(super) fn end_line(&mut self) {
        if self.live.take().is_some() {
            put("\n");
        }
        self.last_sparse = None;
    }

    /// Time to read what was said; none where nobody watches.
    pub(super) fn pause(&self, time: Duration) {
        if self.terminal {
            sleep(time);
        }
    }

    fn write(&mut self, text: &str) {
        self.end_line();
        put(text);
    }

    /// Each of its lines wrapped between words.
    fn paragraph(&mut self, colour: Option<&str>, text: &str) {
        let columns = self.columns();
        for line in text.lines() {
            let hang = if line.starts_with(' ') { 4 } else { 0 };
            let line = terminal::wrapped(line, columns, hang);
            let line = colour.map_or(line.clone(), |colour| self.painted(colour, &line));
            self.write(&format!("{line}\n"));
        }
    }

    fn painted(&self, colour: &str, text: &str) -> String {
        if self.colours {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Takes the live line away, which the terminal has wrapped if it has been made narrower since (ECMA-48: cursor up, erase to the end).
fn erased(line: &str, columns: usize) -> String {
    match terminal::rows(line, columns) - 1 {
        0 => "\r\x1b[0J".to_owned(),
        above => format!("\x1b[{above}A\r\x1b[0J"),
    }
}

/// Nobody is left to tell when standard output itself is gone, as after `demo | head`.
fn put(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}
