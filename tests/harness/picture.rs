//! What a terminal shows that has been sent this: as much of ECMA-48 as the program uses. A line that is too long goes on in the next row, and
//! when the window is made narrower all lines are wrapped anew, as VTE, Konsole, kitty and others do. It scrolls for ever.

/// Rows of cells; behind a sign of two cells stands a NUL.
pub(crate) struct Picture {
    columns: usize,
    rows: Vec<Row>,
    row: usize,
    column: usize,
    wraps: bool,
    /// Bytes of a sign or an escape sequence that is not whole yet.
    begun: Vec<u8>,
    /// A line was longer than the terminal is wide.
    overflowed: bool,
}

#[derive(Clone, Default)]
struct Row {
    cells: Vec<char>,
    /// The next row goes on with the same line.
    goes_on: bool,
}

impl Picture {
    pub(crate) fn new(columns: usize) -> Self {
        Self {
            columns,
            rows: vec![Row::default()],
            row: 0,
            column: 0,
            wraps: true,
            begun: Vec::new(),
            overflowed: false,
        }
    }

    /// The rows as they are seen.
    pub(crate) fn lines(&self) -> Vec<String> {
        let text = |row: &Row| row.cells.iter().filter(|cell| **cell != '\0').collect::<String>();
        self.rows.iter().map(|row| text(row).trim_end().to_owned()).collect()
    }

    /// Whether a line that was drawn had not room in one row.
    pub(crate) fn overflowed(&self) -> bool {
        self.overflowed
    }

    pub(crate) fn resize(&mut self, columns: usize) {
        let mut old = Self::new(columns);
        std::mem::swap(self, &mut old);
        self.wraps = old.wraps;
        self.begun = old.begun;
        let cursor = old.row;
        for (number, row) in old.rows.into_iter().enumerate() {
            if number == cursor {
                let here = (self.row, old.column);
                row.cells.iter().for_each(|cell| self.put_wrapping(*cell));
                if row.goes_on {
                    continue;
                }
                // The program leaves the cursor at the begin of a row, or behind the last sign of one.
                let behind = (self.row, self.column);
                (self.row, self.column) = if here.1 == 0 { here } else { behind };
                continue;
            }
            row.cells.iter().for_each(|cell| self.put_wrapping(*cell));
            if !row.goes_on && number < cursor {
                self.new_line();
                self.column = 0;
            }
        }
        self.overflowed = old.overflowed;
    }

    fn put_wrapping(&mut self, cell: char) {
        if cell == '\0' {
            return;
        }
        let wraps = std::mem::replace(&mut self.wraps, true);
        self.put(cell);
        self.wraps = wraps;
    }

    pub(crate) fn draw(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.begun.push(*byte);
            self.step();
        }
    }

    fn step(&mut self) {
        match self.begun[..] {
            [b'\r'] => self.column = 0,
            [b'\n'] => self.new_line(),
            [0x1b] | [0x1b, b'['] => return,
            [0x1b, b'[', .., last] if !last.is_ascii_alphabetic() => return,
            [0x1b, b'[', .., last] => {
                let of: String = self.begun[2..self.begun.len() - 1]
                    .iter()
                    .map(|byte| char::from(*byte))
                    .collect();
                self.escape(&of, last);
            }
            _ => match std::str::from_utf8(&self.begun) {
                Ok(text) => {
                    let sign = text.chars().next().unwrap();
                    self.put(sign);
                }
                Err(error) => {
                    assert!(error.error_len().is_none(), "no UTF-8: {:?}", self.begun);
                    return;
                }
            },
        }
        self.begun.clear();
    }

    fn escape(&mut self, of: &str, what: u8) {
        match (of, what) {
            (rows, b'A') => {
                let rows: usize = rows.parse().unwrap();
                self.row = self.row.saturating_sub(rows);
            }
            ("0", b'J') => {
                self.rows.truncate(self.row + 1);
                self.rows[self.row].cells.truncate(self.column);
                self.rows[self.row].goes_on = false;
            }
            ("?7", b'l') => self.wraps = false,
            ("?7", b'h') => self.wraps = true,
            (_, b'm') => {}
            other => panic!("this terminal does not know {other:?}"),
        }
    }

    fn new_line(&mut self) {
        self.row += 1;
        if self.row == self.rows.len() {
            self.rows.push(Row::default());
        }
    }

    fn put(&mut self, sign: char) {
        // Signs of East Asia; no other wide ones are drawn here.
        let cells = if ('\u{2e80}'..'\u{a4d0}').contains(&sign) { 2 } else { 1 };
        if self.column + cells > self.columns {
            self.overflowed = true;
            if self.wraps {
                self.rows[self.row].goes_on = true;
                self.new_line();
                self.column = 0;
            } else {
                self.column = self.columns - cells;
            }
        }
        let row = &mut self.rows[self.row].cells;
        row.resize(row.len().max(self.column + cells), ' ');
        row[self.column] = sign;
        if cells == 2 {
            row[self.column + 1] = '\0';
        }
        self.column += cells;
    }
}
