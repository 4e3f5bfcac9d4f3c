//! The text of a config file, and what its parser would pass over.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::report::join;

/// The text of a file, without the byte order mark that some editors put in front.
///
/// # Errors
/// What is wrong: it cannot be read, or is no UTF-8.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err("is UTF-16; save it as UTF-8".to_owned());
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let line = 1 + error.as_bytes()[..valid].iter().filter(|byte| **byte == b'\n').count();
            Err(format!(
                "is not UTF-8: line {line} has a byte that is no text; save it as UTF-8"
            ))
        }
    }
}

/// A key that a table of a JSON text has more than once.
pub(super) struct Twice {
    pub(super) key: String,
    /// Of the second, from 1.
    pub(super) line: usize,
    /// The end of its name, from 1.
    pub(super) column: usize,
}

/// The first key that is given twice. None also for a text that is no JSON: its parser says more.
pub(super) fn twice(json: &str) -> Option<Twice> {
    let mut found = None;
    let keys = Keys {
        at: String::new(),
        found: &mut found,
    };
    let error = keys.deserialize(&mut serde_json::Deserializer::from_str(json)).err()?;
    found.map(|key| Twice {
        key,
        line: error.line(),
        column: error.column(),
    })
}

/// Looks at all keys of a value, and stops at one that comes again.
struct Keys<'f> {
    at: String,
    found: &'f mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for Keys<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            let at = join(&self.at, &name);
            if !seen.insert(name) {
                *self.found = Some(at);
                return Err(A::Error::custom("given twice"));
            }
            map.next_value_seed(Keys { at, found: self.found })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut index = 0;
        loop {
            let at = format!("{}[{index}]", self.at);
            if items.next_element_seed(Keys { at, found: self.found })?.is_none() {
                return Ok(());
            }
            index += 1;
        }
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}
