//! `${VAR}` in the text of a file's values.

use std::collections::HashMap;

/// True when a `$` in the text stands before a name and is neither `${VAR}` nor `$$`: `$HOME`, `${home}`.
pub(super) fn has_loose_dollar(text: &str) -> bool {
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix('$') {
            rest = behind;
        } else if rest.strip_prefix('{').and_then(name).is_none()
            && rest
                .trim_start_matches('{')
                .starts_with(|c: char| c.is_alphabetic() || c == '_')
        {
            return true;
        }
    }
    false
}

/// Replaces `${VAR}`, `${VAR:-default}` (when unset or empty), `${VAR:?message}` (a mistake then); `$$` is one `$`.
/// Only names of `[A-Z_][A-Z0-9_]*` are variables: `${1}` and `${name}` of a regex stay as they are. None: nothing to replace.
///
/// # Errors
/// A variable that is not set, or a brace that is not closed.
pub(super) fn replace(text: &str, variables: &HashMap<String, String>) -> Result<Option<String>, String> {
    if !text.contains('$') {
        return Ok(None);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix('$') {
            out.push('$');
            rest = behind;
        } else if let Some((name, behind)) = rest.strip_prefix('{').and_then(name) {
            let (instruction, behind) = behind
                .split_once('}')
                .ok_or_else(|| format!("`${{{name}` is not closed by `}}`"))?;
            out.push_str(value(name, instruction, variables)?);
            rest = behind;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    Ok(Some(out))
}

/// Splits a variable's name off the text behind `${`.
fn name(text: &str) -> Option<(&str, &str)> {
    let valid = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let end = text.find(|c| !valid(c)).unwrap_or(text.len());
    let (name, behind) = text.split_at(end);
    let starts = name.starts_with(|c: char| !c.is_ascii_digit());
    let ends = !behind.starts_with(char::is_alphanumeric);
    (starts && ends).then_some((name, behind))
}

fn value<'v>(name: &str, instruction: &'v str, variables: &'v HashMap<String, String>) -> Result<&'v str, String> {
    let value = variables.get(name).map(String::as_str);
    let filled = value.filter(|value| !value.is_empty());
    if let Some(default) = instruction.strip_prefix(":-") {
        return Ok(filled.unwrap_or(default));
    }
    if let Some(message) = instruction.strip_prefix(":?") {
        return filled.ok_or_else(|| format!("the variable {name} is not set: {message}"));
    }
    if !instruction.is_empty() {
        return Err(format!(
            "`${{{name}{instruction}}}` is not understood (`:-default` and `:?message` are)"
        ));
    }
    value.ok_or_else(|| format!("the variable {name} is not set"))
}
