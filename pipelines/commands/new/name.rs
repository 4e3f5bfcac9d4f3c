//! The name of a new plugin, which is its `type` in a config, its crate and, in other letters, its Rust type.

use super::Mistake;
use super::kind::Kind;
use crate::framework::plugin::Registry;

/// Letters of a name at most: it stands in many lines of what is written.
const MOST_LETTERS: usize = 30;

/// Crates that the new one uses; it cannot be called like one of them.
const CRATES: [&str; 10] = [
    "alloc",
    "aqueduct",
    "core",
    "proc_macro",
    "schemars",
    "serde",
    "std",
    "tempfile",
    "test",
    "tokio",
];

/// Words of Rust that may not be the name of a crate.
const KEYWORDS: [&str; 49] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod",
    "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super", "trait", "true",
    "try", "type", "typeof", "unsafe", "use", "where", "while", "yield",
];

/// Fails unless `name` can be a plugin's and is not one's already.
pub(super) fn check(name: &str, kind: Kind, registry: &Registry) -> Result<(), Mistake> {
    let fits = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    let begins_well = name.starts_with(|first: char| first.is_ascii_lowercase());
    if !begins_well || !name.chars().all(fits) || name.len() > MOST_LETTERS {
        return Err(Mistake::wrong(format!(
            "`{name}` cannot be the name of a plugin: give it small letters, digits and `_`, a letter first, {MOST_LETTERS} at most{}",
            suggestion(name)
        )));
    }
    if CRATES.contains(&name) || KEYWORDS.contains(&name) {
        return Err(Mistake::wrong(format!(
            "`{name}` is a word of Rust or a crate that the plugin uses; choose another name, such as `my_{name}`"
        )));
    }
    if kind.names(registry).iter().any(|known| known == name) {
        return Err(Mistake::wrong(format!(
            "there is a {kind} called `{name}` already, and yours would take its place; choose another name, such as `my_{name}`"
        )));
    }
    Ok(())
}

/// The nearest name that would do.
fn suggestion(name: &str) -> String {
    let mut better = String::new();
    for letter in name.chars() {
        match letter {
            'A'..='Z' => {
                if !better.is_empty() && !better.ends_with('_') {
                    better.push('_');
                }
                better.push(letter.to_ascii_lowercase());
            }
            'a'..='z' | '0'..='9' => better.push(letter),
            _ if better.is_empty() || better.ends_with('_') => {}
            _ => better.push('_'),
        }
    }
    let better = better.trim_matches(|end: char| end == '_' || end.is_ascii_digit());
    let better: String = better.chars().take(MOST_LETTERS).collect();
    if better.is_empty() {
        String::new()
    } else {
        format!("; how about `{better}`?")
    }
}

/// `drop_old` as a Rust type: `DropOld`.
pub(super) fn type_name(name: &str) -> String {
    let words = name.split('_').filter(|word| !word.is_empty());
    words.fold(String::new(), |mut text, word| {
        let (first, rest) = word.split_at(1);
        text += &first.to_ascii_uppercase();
        text += rest;
        text
    })
}
