//! The table at the end. Pure.

use std::time::Duration;

use super::sequence::Sequence;
use crate::terminal;

/// One act in figures.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// Who read.
    pub(super) reader: &'static str,
    /// How often the server closed.
    pub(super) closes: u64,
    /// How long the first connection lasted, when the server closed it.
    pub(super) closed_after: Option<Duration>,
    /// The longest time between two reads while bytes waited.
    pub(super) gap: Duration,
    /// Messages the server gave its kernel whole.
    pub(super) sent: u64,
    /// Messages that the server had begun and could not send.
    pub(super) cut: u64,
    /// What arrived at the end of the line.
    pub(super) arrived: Sequence,
}

impl Row {
    /// Nothing closed, lost, repeated, out of order or damaged.
    pub(super) fn is_clean(&self) -> bool {
        let Sequence {
            verified,
            duplicates,
            disordered,
            damaged,
            ..
        } = self.arrived;
        self.closes == 0 && self.lost() == 0 && [duplicates, disordered, damaged] == [0; 3] && verified == self.sent
    }

    /// Messages that did not arrive, those included that the server could not send.
    pub(super) fn lost(&self) -> u64 {
        self.arrived.lost(self.sent) + self.cut
    }

    fn cells(&self) -> [String; 8] {
        let closed = match (self.closes, self.closed_after) {
            (0, _) => "never".to_owned(),
            (1, Some(after)) => format!("after {:.1} s", after.as_secs_f64()),
            (times, _) => format!("{times} times"),
        };
        let more = if self.closes > 0 { "+" } else { "" };
        [
            self.reader.to_owned(),
            closed,
            gap(self.gap),
            grouped(self.sent),
            grouped(self.arrived.verified),
            format!("{}{more}", grouped(self.lost())),
            grouped(self.arrived.duplicates),
            grouped(self.arrived.disordered + self.arrived.damaged),
        ]
    }
}

const HEAD: [&str; 8] = [
    "",
    "server closed",
    "gap",
    "sent",
    "verified",
    "lost",
    "twice",
    "out of order",
];

/// The table as lines, the first its head. Where it is wider than that many columns, a reader is a column instead of a line.
pub(super) fn render(rows: &[Row; 3], columns: usize) -> Vec<String> {
    let [first, second, third] = rows.each_ref().map(Row::cells);
    let across = [HEAD.map(str::to_owned), first.clone(), second.clone(), third.clone()];
    let texts_then_numbers = std::array::from_fn(|column| column >= 2);
    let lines = indented(&terminal::table(&across, texts_then_numbers, 3));
    if lines.iter().all(|line| terminal::width(line) <= columns) {
        return lines;
    }
    let down: [[String; 4]; 8] = std::array::from_fn(|line| {
        let cell = |cells: &[String; 8]| cells[line].clone();
        [HEAD[line].to_owned(), cell(&first), cell(&second), cell(&third)]
    });
    let gap = if columns < 72 { 1 } else { 3 };
    indented(&terminal::table(&down, [false, true, true, true], gap))
}

fn indented(lines: &[String]) -> Vec<String> {
    lines.iter().map(|line| format!("  {line}")).collect()
}

fn gap(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds >= 0.1 => format!("{seconds:.1} s"),
        seconds => format!("{:.0} ms", (seconds * 1e3).ceil()),
    }
}

/// `42,318`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(reader: &'static str, sent: u64, numbers: impl Iterator<Item = u64>) -> Row {
        let mut arrived = Sequence::default();
        numbers.for_each(|number| arrived.take(number));
        Row {
            reader,
            closes: 0,
            closed_after: None,
            gap: Duration::from_micros(2100),
            sent,
            cut: 0,
            arrived,
        }
    }

    #[test]
    fn columns_line_up() {
        let mut first = row("1 naive", 775, 1..=1);
        first.closes = 1;
        first.closed_after = Some(Duration::from_millis(420));
        first.gap = Duration::from_millis(500);
        first.cut = 1;
        let rows = [
            first,
            row("2 repaired", 775, 1..=775),
            row("3 pipeline", 4230, 1..=4230),
        ];
        let expected = [
            "               server closed     gap    sent   verified   lost   twice   out of order",
            "  1 naive      after 0.4 s     0.5 s     775          1   775+       0              0",
            "  2 repaired   never            3 ms     775        775      0       0              0",
            "  3 pipeline   never            3 ms   4,230      4,230      0       0              0",
        ];
        assert_eq!(render(&rows, 85), expected);
        let expected = [
            "                      1 naive   2 repaired   3 pipeline",
            "  server closed   after 0.4 s        never        never",
            "  gap                   0.5 s         3 ms         3 ms",
            "  sent                    775          775        4,230",
            "  verified                  1          775        4,230",
            "  lost                   775+            0            0",
            "  twice                     0            0            0",
            "  out of order              0            0            0",
        ];
        assert_eq!(render(&rows, 84), expected);
    }

    #[test]
    fn only_a_perfect_row_is_clean() {
        assert!(row("", 5, 1..=5).is_clean());
        assert!(!row("", 6, 1..=5).is_clean());
        assert!(!row("", 5, (1..=5).chain([5])).is_clean());
        assert!(!row("", 3, [1, 3, 2].into_iter()).is_clean());
        let mut closed = row("", 5, 1..=5);
        closed.closes = 1;
        assert!(!closed.is_clean());
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
    }
}
