//! The line of every key of a file, which the `config` crate does not keep.

use std::collections::BTreeMap;

use config::FileFormat;
use toml::de::{DeTable, DeValue};

use super::report::join;

/// Finds the lines of keys in one text.
pub(super) enum Lines<'t> {
    /// Exact, from the parser's spans.
    Known(BTreeMap<String, usize>),
    /// Looked for in JSON and YAML, whose parsers tell no spans; right for text that is indented by its structure.
    Searched(&'t str),
}

impl<'t> Lines<'t> {
    /// The lines of a text that has been parsed without an error.
    pub(super) fn of(text: &'t str, format: FileFormat) -> Self {
        match (format, DeTable::parse(text)) {
            (FileFormat::Toml, Ok(table)) => {
                let mut lines = BTreeMap::new();
                table_lines(text, table.get_ref(), "", &mut lines);
                Self::Known(lines)
            }
            _ => Self::Searched(text),
        }
    }

    /// The line of `key`, from 1.
    pub(super) fn line(&self, key: &str) -> Option<usize> {
        match self {
            Self::Known(lines) => lines.get(key).copied(),
            Self::Searched(text) => search(text, key),
        }
    }
}

/// The line of a byte offset, from 1.
pub(super) fn line_at(text: &str, offset: usize) -> usize {
    1 + text
        .as_bytes()
        .iter()
        .take(offset)
        .filter(|byte| **byte == b'\n')
        .count()
}

fn table_lines(text: &str, table: &DeTable<'_>, at: &str, lines: &mut BTreeMap<String, usize>) {
    for (name, value) in table {
        let key = join(at, name.get_ref());
        lines
            .entry(key.clone())
            .or_insert_with(|| line_at(text, name.span().start));
        value_lines(text, value.get_ref(), &key, lines);
    }
}

fn value_lines(text: &str, value: &DeValue<'_>, key: &str, lines: &mut BTreeMap<String, usize>) {
    match value {
        DeValue::Table(table) => table_lines(text, table, key, lines),
        DeValue::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let key = format!("{key}[{index}]");
                lines.insert(key.clone(), line_at(text, item.span().start));
                value_lines(text, item.get_ref(), &key, lines);
            }
        }
        _ => {}
    }
}

/// Follows the names of `key` down the text: each is the least indented one of its name below its parent.
fn search(text: &str, key: &str) -> Option<usize> {
    let key = &key[..key.find('[').unwrap_or(key.len())];
    let mut from = 0;
    for name in key.split('.') {
        from = text
            .lines()
            .enumerate()
            .skip(from)
            .filter(|(_, line)| names(line, name))
            .min_by_key(|(_, line)| line.len() - line.trim_start().len())?
            .0;
    }
    Some(from + 1)
}

/// True when the line gives the key `name` a value.
fn names(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].trim_end_matches(['"', '\'']).chars().next_back();
        let after = line[at + name.len()..].trim_start_matches(['"', '\'']).trim_start();
        after.starts_with(':') && before.is_none_or(|c| c.is_whitespace() || "{,[".contains(c))
    })
}
