//! What comes from a socket or a file, made safe to print on a terminal.

use serde_json::Value;

/// Whether a terminal could take a character for more than a sign: controls (C0, C1) and what turns the direction of text.
fn is_unsafe(sign: char) -> bool {
    sign.is_control()
        || matches!(sign, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The same value, with every text in it as safe to print: what a socket or a file says may come from anywhere.
pub(crate) fn clean(value: &mut Value) {
    let escaped = |text: &str| -> String {
        let signs = text.chars().map(|sign| match is_unsafe(sign) {
            true => sign.escape_unicode().to_string(),
            false => sign.to_string(),
        });
        signs.collect()
    };
    match value {
        Value::String(text) if text.contains(is_unsafe) => *text = escaped(text),
        Value::Array(values) => values.iter_mut().for_each(clean),
        Value::Object(entries) => {
            let dirty = std::mem::take(entries);
            entries.extend(dirty.into_iter().map(|(key, mut value)| {
                clean(&mut value);
                (escaped(&key), value)
            }));
        }
        _ => {}
    }
}

/// JSON as safe to print: the same value, with such characters as JSON's own escapes.
pub(crate) fn json(value: &Value) -> String {
    let signs = value.to_string();
    let signs = signs.chars().map(|sign| match is_unsafe(sign) {
        // All of them are of the basic plane, and stand inside of texts.
        true => format!("\\u{:04x}", u32::from(sign)),
        false => sign.to_string(),
    });
    signs.collect()
}
