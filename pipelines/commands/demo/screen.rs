//! What the audience sees: paragraphs, and one live line that is redrawn on a terminal and sparse elsewhere.

use std::io::{self, IsTerminal, Write};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often the live line appears where it cannot be redrawn.
const SPARSE: Duration = Duration::from_secs(2);

/// Colours, as SGR parameters of ECMA-48.
const TITLE: &str = "1;36";
const GOOD: &str = "1;32";
const BAD: &str = "1;31";
const QUIET: &str = "2";

/// Standard output.
pub(super) struct Screen {
    terminal: bool,
    colours: bool,
    /// A live line stands at the cursor.
    live: bool,
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
            live: false,
            last_sparse: None,
        }
    }

    pub(super) fn title(&mut self, text: &str) {
        let text = self.painted(TITLE, text);
        self.write(&format!("\n{text}\n"));
    }

    pub(super) fn say(&mut self, text: &str) {
        self.write(&format!("{text}\n"));
    }

    pub(super) fn quiet(&mut self, text: &str) {
        let text = self.painted(QUIET, text);
        self.write(&format!("{text}\n"));
    }

    pub(super) fn good(&mut self, text: &str) {
        let text = self.painted(GOOD, text);
        self.write(&format!("{text}\n"));
    }

    pub(super) fn bad(&mut self, text: &str) {
        let text = self.painted(BAD, text);
        self.write(&format!("{text}\n"));
    }

    /// A table whose first line is its head.
    pub(super) fn table(&mut self, text: &str) {
        let (head, body) = text.split_once('\n').unwrap_or((text, ""));
        let head = self.painted(QUIET, head);
        self.write(&format!("{head}\n{body}\n"));
    }

    /// Progress: replaces the live line; without a terminal one line every two seconds.
    pub(super) fn progress(&mut self, text: &str) {
        if self.terminal {
            self.live = true;
            // Without auto-wrap a long line stays one line.
            put(&format!("\r\x1b[2K\x1b[?7l  {text}\x1b[?7h"));
        } else if self.last_sparse.is_none_or(|last| last.elapsed() >= SPARSE) {
            self.last_sparse = Some(Instant::now());
            put(&format!("  {text}\n"));
        }
    }

    /// Leaves the live line as it is and goes on below it.
    pub(super) fn end_line(&mut self) {
        if std::mem::take(&mut self.live) {
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

    fn painted(&self, colour: &str, text: &str) -> String {
        if self.colours {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Nobody is left to tell when standard output itself is gone, as after `demo | head`.
fn put(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}
