//! Columns of text that line up.

use super::width;

/// Lines whose columns are as wide as their widest cells, `gap` cells apart; those marked stand to the right.
pub(crate) fn table<const N: usize>(rows: &[[String; N]], right: [bool; N], gap: usize) -> Vec<String> {
    let widest = |column: usize| rows.iter().map(|cells| width(&cells[column])).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(widest);
    let line = |cells: &[String; N]| {
        let mut line = String::new();
        for (column, cell) in cells.iter().enumerate() {
            let space = " ".repeat(widths[column] - width(cell));
            let (before, behind) = if right[column] { (&*space, "") } else { ("", &*space) };
            line += &format!("{before}{cell}{behind}{}", " ".repeat(gap));
        }
        line.truncate(line.trim_end_matches(' ').len());
        line
    };
    rows.iter().map(line).collect()
}
