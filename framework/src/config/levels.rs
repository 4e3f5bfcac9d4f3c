//! `[log] level`: one level, or a filter of `TARGET=LEVEL` parts. A word that is no level would be a target that says nothing, and silence the log.

use super::report::Report;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// What other software calls them.
const ELSEWHERE: [(&str, &str); 12] = [
    ("warning", "warn"),
    ("notice", "info"),
    ("information", "info"),
    ("informational", "info"),
    ("inf", "info"),
    ("verbose", "debug"),
    ("fine", "debug"),
    ("fatal", "error"),
    ("critical", "error"),
    ("crit", "error"),
    ("err", "error"),
    ("none", "off"),
];

/// Reports every part that names no level.
pub(super) fn check(level: &str, report: &mut Report) {
    // What stands in brackets are the fields of spans, in a syntax of its own.
    if level.contains(['[', '{']) {
        return;
    }
    let parts: Vec<&str> = level
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    for part in &parts {
        let word = part.split_once('=').map_or(*part, |(_, level)| level.trim());
        if is_level(word) {
            continue;
        }
        let mut message = format!("`{word}` is no log level");
        if parts.len() > 1 && !part.contains('=') {
            message += &format!("; for all of a target write `{word}=trace`");
        }
        let lower = word.to_ascii_lowercase();
        let mistake = report.add("log.level", message).one_of(LEVELS, &lower);
        if let Some((_, here)) = ELSEWHERE.iter().find(|(elsewhere, _)| *elsewhere == lower) {
            mistake.nearest = Some((*here).to_owned());
        }
    }
}

fn is_level(word: &str) -> bool {
    LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word)) || matches!(word, "0" | "1" | "2" | "3" | "4" | "5")
}
