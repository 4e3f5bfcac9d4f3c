//! Checks values against the JSON schemas that schemars derives, and says what is wrong in words.
//!
//! It knows what schemars writes, not all of JSON Schema: types, enums, tagged and untagged alternatives, required and unknown
//! keys, bounds, lengths, `$ref`, `allOf`, and the formats of [`ByteSize`] and [`Period`]. What it does not know, it lets pass.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::report::{Report, join};
use super::tree::literal;
use super::url::without_secrets;
use super::words::{Words, alternatives, is, kind, tag};
use crate::telemetry::messages::{FieldPattern, FramePattern};
use crate::units::{ByteSize, Period};

/// Checks the values of one schema.
pub(super) struct Checker<'s, 'r> {
    words: Words<'s>,
    /// The key of the whole value.
    top: &'s str,
    /// Keys beside the schema's, taken by somebody else; named when a key is unknown.
    beside: &'s [&'s str],
    report: &'r mut Report,
}

/// Every key a table may have, gathered from a schema and those it refers to.
#[derive(Default)]
struct Shape<'s> {
    properties: BTreeMap<&'s str, &'s Value>,
    required: Vec<&'s str>,
    others: Option<&'s Value>,
    closed: bool,
}

/// Checks `value`, which stands at `key`, against `schema`. Text that came from a variable becomes what the schema wants.
pub(super) fn check<'s>(
    value: &mut Value,
    schema: &'s Value,
    beside: &'s [&'s str],
    key: &'s str,
    report: &mut Report,
) {
    Checker {
        words: Words(schema),
        top: key,
        beside,
        report,
    }
    .check(value, schema, key);
}

impl<'s> Checker<'s, '_> {
    fn check(&mut self, value: &mut Value, schema: &'s Value, key: &str) {
        let schema = self.words.resolve(schema);
        let types = self.words.types(schema);
        if value.is_string()
            && !types.is_empty()
            && !types.contains(&"string")
            && self.report.places.is_from_variable(key)
        {
            retype(value);
        }
        if !types.is_empty() && !types.iter().any(|name| is(value, name)) {
            let expected = self.words.describe(schema);
            self.report
                .add(key, format!("wrong type: {}", kind(value)))
                .expected(expected);
            return;
        }
        let names = self.words.names(schema);
        if let (false, Some(text)) = (names.is_empty(), value.as_str()) {
            if !names.contains(&text) {
                self.report
                    .add(key, format!("unknown value `{}`", without_secrets(text)))
                    .one_of(names, text);
            }
            return;
        }
        if let Some(allowed) = schema.get("enum").and_then(Value::as_array) {
            if !allowed.contains(value) {
                let expected = self.words.describe(schema);
                self.report
                    .add(key, format!("{} is not possible", without_secrets(&value.to_string())))
                    .expected(expected);
            }
            return;
        }
        match alternatives(schema) {
            Some(forms) if tag(forms).is_none() || !value.is_object() => {
                self.any(value, &forms.iter().collect::<Vec<_>>(), key)
            }
            _ => self.form(value, schema, key),
        }
    }

    /// Checks a value whose type is right.
    fn form(&mut self, value: &mut Value, schema: &'s Value, key: &str) {
        match value {
            Value::Object(table) => self.table(table, schema, key),
            Value::Array(items) => {
                self.bounds(items.len() as f64, schema, ["minItems", "maxItems"], "entries", key);
                if let Some(each) = schema.get("items") {
                    for (index, item) in items.iter_mut().enumerate() {
                        self.check(item, each, &format!("{key}[{index}]"));
                    }
                }
            }
            Value::String(text) => self.text(text, schema, key),
            Value::Number(number) => self.number(number.as_f64().unwrap_or_default(), schema, key),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn text(&mut self, text: &str, schema: &'s Value, key: &str) {
        let read = match schema.get("format").and_then(Value::as_str) {
            Some(ByteSize::FORMAT) => text.parse::<ByteSize>().map(|size| size.bytes() as f64),
            Some(Period::FORMAT) => text.parse::<Period>().map(|time| time.duration().as_secs_f64() * 1e3),
            Some(FieldPattern::FORMAT) => return self.pattern(text.parse::<FieldPattern>().err(), key),
            Some(FramePattern::FORMAT) => return self.pattern(text.parse::<FramePattern>().err(), key),
            _ => {
                self.bounds(
                    text.chars().count() as f64,
                    schema,
                    ["minLength", "maxLength"],
                    "characters",
                    key,
                );
                return;
            }
        };
        match read {
            Ok(number) => self.number(number, schema, key),
            Err(_) => {
                let expected = self.words.describe(schema);
                self.report
                    .add(key, format!("`{}` cannot be read", without_secrets(text)))
                    .expected(expected);
            }
        }
    }

    /// A pattern has many ways to be wrong, so it says itself what would be right.
    fn pattern(&mut self, wrong: Option<String>, key: &str) {
        if let Some(wrong) = wrong {
            self.report.add(key, wrong);
        }
    }

    fn number(&mut self, number: f64, schema: &'s Value, key: &str) {
        let unit = match schema.get("format").and_then(Value::as_str) {
            Some(ByteSize::FORMAT) => "bytes",
            Some(Period::FORMAT) => "milliseconds",
            _ => "",
        };
        self.bounds(number, schema, ["minimum", "maximum"], unit, key);
    }

    /// Checks a number, or a number of `unit`s, against the two keywords of those names.
    fn bounds(&mut self, number: f64, schema: &'s Value, names: [&str; 2], unit: &str, key: &str) {
        let widest = match schema.get("format").and_then(Value::as_str) {
            Some("uint32") => Some(f64::from(u32::MAX)),
            Some("int32") => Some(f64::from(i32::MAX)),
            Some(ByteSize::FORMAT) => Some(ByteSize::MAX.bytes() as f64),
            Some(Period::FORMAT) => Some(Period::MAX.duration().as_secs_f64() * 1e3),
            _ => None,
        };
        let [low, high] = names.map(|name| schema.get(name).and_then(Value::as_f64));
        // What the type can hold is of interest only to whoever wants more.
        let high = high.or(widest.filter(|widest| number > *widest));
        if low.is_none_or(|low| number >= low) && high.is_none_or(|high| number <= high) {
            return;
        }
        let say = |number: f64| match unit {
            "" => number.to_string(),
            "bytes" if number >= 0.0 => ByteSize(number as u64).to_string(),
            "milliseconds" => Period(Duration::from_secs_f64(number / 1e3)).to_string(),
            unit => format!("{number} {unit}"),
        };
        let expected = match (low, high) {
            (Some(low), Some(high)) => format!("{} to {}", say(low), say(high)),
            (Some(low), None) => format!("at least {}", say(low)),
            (None, high) => format!("at most {}", say(high.unwrap_or_default())),
        };
        self.report
            .add(key, format!("out of range: {}", say(number)))
            .expected(expected);
    }

    fn table(&mut self, table: &mut Map<String, Value>, schema: &'s Value, key: &str) {
        let mut shape = Shape::default();
        if !self.gather(schema, table, key, &mut shape) {
            return;
        }
        let at_top = key == self.top;
        for (name, value) in table.iter_mut() {
            let key = join(key, name);
            match (shape.properties.get(name.as_str()).copied(), shape.others) {
                (Some(schema), _) | (None, Some(schema)) => self.check(value, schema, &key),
                (None, None) if shape.closed => {
                    let beside = if at_top { self.beside } else { &[] };
                    let names = shape.properties.keys().chain(beside).copied();
                    self.report.add(&key, "unknown key").one_of(names, name);
                }
                (None, None) => {}
            }
        }
        for name in shape.required.into_iter().filter(|name| !table.contains_key(*name)) {
            let expected = shape.properties.get(name).map(|schema| self.words.describe(schema));
            self.report.add(&join(key, name), "missing").expected = expected.filter(|text| !text.is_empty());
        }
    }

    /// Gathers the keys of a table into `shape`; false when the table's tag is wrong, which has been reported then.
    fn gather(&mut self, schema: &'s Value, table: &Map<String, Value>, key: &str, shape: &mut Shape<'s>) -> bool {
        if schema.get("$ref").is_some() {
            let target = self.words.resolve_once(schema);
            if !self.gather(target, table, key, shape) {
                return false;
            }
        }
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            shape
                .properties
                .extend(properties.iter().map(|(name, schema)| (name.as_str(), schema)));
        }
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        shape.required.extend(required.filter_map(Value::as_str));
        for others in ["additionalProperties", "unevaluatedProperties"]
            .iter()
            .filter_map(|name| schema.get(*name))
        {
            match others {
                Value::Bool(open) => shape.closed |= !open,
                schema => shape.others = Some(schema),
            }
        }
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            if !self.gather(part, table, key, shape) {
                return false;
            }
        }
        match alternatives(schema).and_then(|forms| Some((forms, tag(forms)?))) {
            None => true,
            Some((forms, tag)) => match self.tagged(forms, tag, table, key) {
                Some(form) => self.gather(form, table, key, shape),
                None => false,
            },
        }
    }

    /// The form that the table's tag names.
    fn tagged(&mut self, forms: &'s [Value], tag: &str, table: &Map<String, Value>, key: &str) -> Option<&'s Value> {
        let name_of = |form: &'s Value| form["properties"][tag]["const"].as_str();
        let written = table.get(tag).and_then(Value::as_str);
        let form = forms.iter().find(|form| written.is_some() && name_of(form) == written);
        if form.is_none() {
            let message = match table.get(tag) {
                None => "missing".to_owned(),
                Some(Value::String(text)) => format!("unknown value `{}`", without_secrets(text)),
                Some(other) => format!("wrong type: {}", kind(other)),
            };
            let names = forms.iter().filter_map(name_of);
            self.report
                .add(&join(key, tag), message)
                .one_of(names, written.unwrap_or_default());
        }
        form
    }

    /// Checks a value that may have one of several forms: that of its type, or else any that fits.
    fn any(&mut self, value: &mut Value, forms: &[&'s Value], key: &str) {
        let fits = |form: &&&'s Value| {
            let types = self.words.types(form);
            types.is_empty() || types.iter().any(|name| is(value, name))
        };
        let fitting: Vec<&'s Value> = forms.iter().filter(fits).copied().collect();
        let before = self.report.mistakes.len();
        for form in &fitting {
            let mut attempt = value.clone();
            self.check(&mut attempt, form, key);
            if self.report.mistakes.len() == before {
                *value = attempt;
                return;
            }
            if fitting.len() > 1 {
                self.report.mistakes.truncate(before);
            }
        }
        if fitting.len() > 1 {
            let forms: Vec<String> = fitting.iter().map(|form| self.words.describe(form)).collect();
            self.report
                .add(key, "has none of its possible forms")
                .expected(forms.join(", or "));
        }
    }
}

/// Reads text as TOML would, when that gives anything but text.
fn retype(value: &mut Value) {
    let parsed = value
        .as_str()
        .map(literal)
        .and_then(|parsed| parsed.try_deserialize::<Value>().ok());
    if let Some(parsed) = parsed.filter(|parsed| !parsed.is_string()) {
        *value = parsed;
    }
}
