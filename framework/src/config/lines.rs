//! Line and column of every key of a file, which the `config` crate does not keep.

use std::collections::BTreeMap;

use config::FileFormat;
use toml::de::{DeTable, DeValue};

use super::report::join;

/// Finds the lines of keys in one text.
pub(super) enum Lines<'t> {
    /// Exact, from the parser's spans.
    Known(BTreeMap<String, (usize, usize)>),
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

    /// Line and column of `key`, from 1.
    pub(super) fn spot(&self, key: &str) -> Option<(usize, usize)> {
        match self {
            Self::Known(lines) => lines.get(key).copied(),
            Self::Searched(text) => search(text, key),
        }
    }
}

/// Line and column of a byte offset, in characters, from 1.
pub(super) fn spot_at(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (1 + before.matches('\n').count(), 1 + line.chars().count())
}

fn table_lines(text: &str, table: &DeTable<'_>, at: &str, lines: &mut BTreeMap<String, (usize, usize)>) {
    for (name, value) in table {
        let key = join(at, name.get_ref());
        lines
            .entry(key.clone())
            .or_insert_with(|| spot_at(text, name.span().start));
        value_lines(text, value.get_ref(), &key, lines);
    }
}

fn value_lines(text: &str, value: &DeValue<'_>, key: &str, lines: &mut BTreeMap<String, (usize, usize)>) {
    match value {
        DeValue::Table(table) => table_lines(text, table, key, lines),
        DeValue::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let key = format!("{key}[{index}]");
                lines.insert(key.clone(), spot_at(text, item.span().start));
                value_lines(text, item.get_ref(), &key, lines);
            }
        }
        _ => {}
    }
}

/// Follows the names of `key` down the text: each is the least indented one of its name below its parent.
fn search(text: &str, key: &str) -> Option<(usize, usize)> {
    let key = &key[..key.find('[').unwrap_or(key.len())];
    let (mut from, mut behind, mut column) = (0, 0, 0);
    for name in key.split('.') {
        let found = text.lines().enumerate().skip(from).filter_map(|(index, line)| {
            // On its parent's line it stands behind it.
            let behind = if index == from { behind } else { 0 };
            Some((index, line, column_of(line, name, behind)?))
        });
        let (index, line, at) = found.min_by_key(|(_, line, _)| line.len() - line.trim_start().len())?;
        (from, behind) = (index, at + name.len());
        column = 1 + line[..at].trim_end_matches(['"', '\'']).chars().count();
    }
    Some((from + 1, column))
}

/// Where, in bytes from `behind` on, the line gives the key `name` a value.
fn column_of(line: &str, name: &str, behind: usize) -> Option<usize> {
    let found = line.match_indices(name).find(|(at, _)| {
        let before = line[..*at].trim_end_matches(['"', '\'']).chars().next_back();
        let after = line[at + name.len()..].trim_start_matches(['"', '\'']).trim_start();
        *at >= behind && after.starts_with(':') && before.is_none_or(|c| c.is_whitespace() || "{,[".contains(c))
    });
    found.map(|(at, _)| at)
}
