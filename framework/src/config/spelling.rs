//! Which key of a file a key in other letters means.

use config::{Map, Value, ValueKind};

/// A key as the files spell it.
pub(super) struct Spelling {
    /// As far as the files have it; what is not in them stays as it was written.
    pub(super) key: String,
    /// The names of which it could be any: they differ by case, and it is none of them.
    pub(super) others: Option<String>,
}

/// Looks for `key` in the tables of all `files`.
pub(super) fn of<'v>(key: &str, files: impl Iterator<Item = &'v Map<String, Value>>) -> Spelling {
    let mut tables: Vec<&Map<String, Value>> = files.collect();
    let (mut spelled, mut others) = (Vec::new(), None);
    for name in key.split('.') {
        let mut found: Vec<&str> = (tables.iter().flat_map(|table| table.keys()))
            .map(String::as_str)
            .filter(|known| *known == name || known.to_lowercase() == name.to_lowercase())
            .collect();
        found.sort_unstable();
        found.dedup();
        let meant = match found.as_slice() {
            [] => name,
            [only] => only,
            several if several.contains(&name) => name,
            several => {
                others = Some(several.join(", "));
                name
            }
        };
        spelled.push(meant.to_owned());
        tables = tables.into_iter().filter_map(|table| table_at(table, meant)).collect();
    }
    Spelling {
        key: spelled.join("."),
        others,
    }
}

fn table_at<'v>(table: &'v Map<String, Value>, name: &str) -> Option<&'v Map<String, Value>> {
    match &table.get(name)?.kind {
        ValueKind::Table(table) => Some(table),
        _ => None,
    }
}
