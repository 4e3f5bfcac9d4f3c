//! A place in a JSON document: the names and indexes of RFC 9535, without its queries.
//!
//! The document is walked once and nothing but the value at the place is kept. A library for whole JSONPath evaluates over a parsed tree, which would be
//! built and thrown away for every frame looked at.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The steps from the root to the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(usize),
}

impl Path {
    /// The string or number at the place, as text.
    pub(super) fn find<'f>(&self, document: &'f [u8]) -> Option<Cow<'f, str>> {
        let mut reader = serde_json::Deserializer::from_slice(document);
        Seek(&self.0).deserialize(&mut reader).ok().flatten()
    }
}

impl FromStr for Path {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || {
            format!("`{text}` is no JSON path of names and indexes, such as `$.order.items[0].id` or `$['order id']`")
        };
        let mut rest = text.strip_prefix('$').ok_or_else(wrong)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, left) = step(rest).ok_or_else(wrong)?;
            steps.push(step);
            rest = left;
        }
        Ok(Self(steps))
    }
}

/// The first step of a path, and what is left behind it.
fn step(text: &str) -> Option<(Step, &str)> {
    if let Some(rest) = text.strip_prefix('.') {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let plain = |letter: char| letter.is_alphanumeric() || "_-".contains(letter);
        return (!name.is_empty() && name.chars().all(plain)).then(|| (Step::Name(name.to_owned()), rest));
    }
    let rest = text.strip_prefix('[')?;
    if let Some(quote) = rest.chars().next().filter(|first| "'\"".contains(*first)) {
        let (name, rest) = rest[1..].split_once(quote)?;
        return Some((Step::Name(name.to_owned()), rest.strip_prefix(']')?));
    }
    let (index, rest) = rest.split_once(']')?;
    Some((Step::Index(index.parse().ok()?), rest))
}

/// Walks towards the place; everything beside the way is skipped unread.
struct Seek<'p>(&'p [Step]);

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = Option<Cow<'de, str>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Seek<'_> {
    fn arrived<'de>(&self, text: impl FnOnce() -> Cow<'de, str>) -> Option<Cow<'de, str>> {
        self.0.is_empty().then(text)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(self.arrived(|| Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(self.arrived(|| Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(self.arrived(|| Cow::Owned(number.to_string())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(self.arrived(|| Cow::Owned(number.to_string())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        // An integer of more than 64 bits arrives here with its last digits lost: another id than the one in the frame.
        let exact = number.abs() < (1_u64 << f64::MANTISSA_DIGITS) as f64;
        Ok(self.arrived(|| Cow::Owned(number.to_string())).filter(|_| exact))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            match self.0.split_first() {
                Some((Step::Name(wanted), rest)) if *wanted == name && found.is_none() => {
                    found = map.next_value_seed(Seek(rest))?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        let wanted = match self.0.split_first() {
            Some((Step::Index(index), rest)) => Some((*index, rest)),
            _ => None,
        };
        for index in 0.. {
            let there = match wanted.filter(|(wanted, _)| *wanted == index) {
                Some((_, rest)) => list.next_element_seed(Seek(rest))?.map(|value| found = value),
                None => list.next_element::<IgnoredAny>()?.map(drop),
            };
            if there.is_none() {
                break;
            }
        }
        Ok(found)
    }
}
