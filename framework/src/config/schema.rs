//! Checks values against the JSON schemas that schemars derives, and says what is wrong in words.
//!
//! It knows what schemars writes, not all of JSON Schema: types, enums, tagged and untagged alternatives, required and unknown
//! keys, bounds, lengths, `$ref`, `allOf`, and the formats of [`ByteSize`] and [`Period`]. What it does not know, it lets pass.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::report::{Report, join};
use super::tree::literal;
use crate::units::{ByteSize, Period};

/// Checks the values of one schema.
pub(super) struct Checker<'s, 'r> {
    root: &'s Value,
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
pub(super) fn check(value: &mut Value, schema: &Value, beside: &[&str], key: &str, report: &mut Report) {
    Checker {
        root: schema,
        beside,
        report,
    }
    .check(value, schema, key);
}

impl<'s> Checker<'s, '_> {
    fn check(&mut self, value: &mut Value, schema: &'s Value, key: &str) {
        let schema = self.resolve(schema);
        let types = self.types(schema);
        if value.is_string() && !types.is_empty() && !types.contains(&"string") && self.report.places.from_variable(key)
        {
            retype(value);
        }
        if !types.is_empty() && !types.iter().any(|name| is(value, name)) {
            let expected = self.describe(schema);
            self.report
                .add(key, format!("wrong type: {}", kind(value)))
                .expected(expected);
            return;
        }
        let names = self.names(schema);
        if let (false, Some(text)) = (names.is_empty(), value.as_str()) {
            if !names.contains(&text) {
                self.report
                    .add(key, format!("unknown value `{text}`"))
                    .one_of(names, text);
            }
            return;
        }
        if let Some(allowed) = schema.get("enum").and_then(Value::as_array) {
            if !allowed.contains(value) {
                let expected = self.describe(schema);
                self.report
                    .add(key, format!("{value} is not possible"))
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
            Some(ByteSize::FORMAT) => text.parse::<ByteSize>().map(|size| Some(size.bytes() as f64)),
            Some(Period::FORMAT) => text.parse::<Period>().map(|_| None),
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
            Ok(Some(bytes)) => self.number(bytes, schema, key),
            Ok(None) => {}
            Err(_) => {
                let expected = self.describe(schema);
                self.report
                    .add(key, format!("`{text}` cannot be read"))
                    .expected(expected);
            }
        }
    }

    fn number(&mut self, number: f64, schema: &'s Value, key: &str) {
        let unit = if schema.get("format").and_then(Value::as_str) == Some(ByteSize::FORMAT) {
            "bytes"
        } else {
            ""
        };
        self.bounds(number, schema, ["minimum", "maximum"], unit, key);
    }

    fn bounds(&mut self, number: f64, schema: &'s Value, names: [&str; 2], unit: &str, key: &str) {
        let widest = match schema.get("format").and_then(Value::as_str) {
            Some("uint32") => Some(f64::from(u32::MAX)),
            Some("int32") => Some(f64::from(i32::MAX)),
            _ => None,
        };
        let [low, high] = names.map(|name| schema.get(name).and_then(Value::as_f64));
        let high = high.or(widest);
        if low.is_some_and(|low| number < low) || high.is_some_and(|high| number > high) {
            let range = match (low, high) {
                (Some(low), Some(high)) => format!("{low} to {high}"),
                (Some(low), None) => format!("at least {low}"),
                (None, high) => format!("at most {}", high.unwrap_or_default()),
            };
            let space = if unit.is_empty() { "" } else { " " };
            let expected = format!("{range}{space}{unit}");
            self.report
                .add(key, format!("out of range: {number}{space}{unit}"))
                .expected(expected);
        }
    }

    fn table(&mut self, table: &mut Map<String, Value>, schema: &'s Value, key: &str) {
        let mut shape = Shape::default();
        if !self.gather(schema, table, key, &mut shape) {
            return;
        }
        for (name, value) in table.iter_mut() {
            let key = join(key, name);
            match (shape.properties.get(name.as_str()).copied(), shape.others) {
                (Some(schema), _) | (None, Some(schema)) => self.check(value, schema, &key),
                (None, None) if shape.closed => {
                    let names = shape.properties.keys().chain(self.beside).copied();
                    self.report.add(&key, "unknown key").one_of(names, name);
                }
                (None, None) => {}
            }
        }
        for name in shape.required.into_iter().filter(|name| !table.contains_key(*name)) {
            let expected = shape.properties.get(name).map(|schema| self.describe(schema));
            self.report.add(&join(key, name), "missing").expected = expected.filter(|text| !text.is_empty());
        }
    }

    /// Gathers the keys of a table into `shape`; false when the table's tag is wrong, which has been reported then.
    fn gather(&mut self, schema: &'s Value, table: &Map<String, Value>, key: &str, shape: &mut Shape<'s>) -> bool {
        if schema.get("$ref").is_some() {
            let target = self.resolve_once(schema);
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
                Some(Value::String(text)) => format!("unknown value `{text}`"),
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
            let types = self.types(form);
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
            let forms: Vec<String> = fitting.iter().map(|form| self.describe(form)).collect();
            self.report
                .add(key, "has none of its possible forms")
                .expected(forms.join(", or "));
        }
    }

    /// Follows `$ref`, unless keys stand beside it.
    fn resolve(&self, schema: &'s Value) -> &'s Value {
        let mut schema = schema;
        while schema.get("$ref").is_some() && schema.get("properties").is_none() {
            schema = self.resolve_once(schema);
        }
        schema
    }

    fn resolve_once(&self, schema: &'s Value) -> &'s Value {
        let pointer = schema["$ref"].as_str().and_then(|name| name.strip_prefix('#'));
        pointer
            .and_then(|pointer| self.root.pointer(pointer))
            .unwrap_or(&Value::Null)
    }

    /// The types a value may have; empty when any.
    fn types(&self, schema: &'s Value) -> Vec<&'s str> {
        let schema = self.resolve(schema);
        match (schema.get("type"), alternatives(schema)) {
            (Some(Value::String(name)), _) => vec![name],
            (Some(Value::Array(names)), _) => names.iter().filter_map(Value::as_str).collect(),
            (_, Some(forms)) => {
                let each: Vec<_> = forms.iter().map(|form| self.types(form)).collect();
                if each.iter().any(Vec::is_empty) {
                    Vec::new()
                } else {
                    each.concat()
                }
            }
            _ if schema.get("properties").is_some() => vec!["object"],
            _ if schema.get("const").is_some_and(Value::is_string) => vec!["string"],
            _ => Vec::new(),
        }
    }

    /// The texts a value may be, when it is an enum of texts; empty otherwise.
    fn names(&self, schema: &'s Value) -> Vec<&'s str> {
        let schema = self.resolve(schema);
        if let Some(name) = schema.get("const").and_then(Value::as_str) {
            return vec![name];
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            return values.iter().filter_map(Value::as_str).collect();
        }
        let Some(forms) = alternatives(schema) else {
            return Vec::new();
        };
        let forms = forms.iter().filter(|form| self.types(form) != ["null"]);
        let each: Vec<_> = forms.map(|form| self.names(form)).collect();
        if each.iter().any(Vec::is_empty) {
            Vec::new()
        } else {
            each.concat()
        }
    }

    /// What a value may be, in words.
    fn describe(&self, schema: &'s Value) -> String {
        let schema = self.resolve(schema);
        let names = self.names(schema);
        if !names.is_empty() {
            return format!("one of: {}", names.join(", "));
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            let values: Vec<String> = values.iter().map(Value::to_string).collect();
            return format!("one of: {}", values.join(", "));
        }
        match schema.get("format").and_then(Value::as_str) {
            Some(ByteSize::FORMAT) => return "a size such as \"8 MiB\", or a number of bytes".into(),
            Some(Period::FORMAT) => return "a time such as \"500ms\" or \"2 h\"".into(),
            _ => {}
        }
        let mut types: Vec<&str> = self
            .types(schema)
            .into_iter()
            .filter(|name| *name != "null")
            .map(in_words)
            .collect();
        types.dedup();
        types.join(" or ")
    }
}

fn alternatives(schema: &Value) -> Option<&[Value]> {
    let forms = schema.get("oneOf").or_else(|| schema.get("anyOf"))?;
    forms.as_array().map(Vec::as_slice)
}

/// The key by whose constant text the forms differ.
fn tag(forms: &[Value]) -> Option<&str> {
    let constant = |form: &Value, name: &str| form["properties"][name]["const"].is_string();
    let first = forms.first()?.get("properties")?.as_object()?;
    first
        .keys()
        .map(String::as_str)
        .find(|name| forms.iter().all(|form| constant(form, name)))
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

fn is(value: &Value, name: &str) -> bool {
    match name {
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => value.is_null(),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => in_words("boolean"),
        Value::Number(number) if number.is_f64() => in_words("number"),
        Value::Number(_) => in_words("integer"),
        Value::String(_) => in_words("string"),
        Value::Array(_) => in_words("array"),
        Value::Object(_) => in_words("object"),
    }
}

fn in_words(name: &str) -> &'static str {
    match name {
        "boolean" => "true or false",
        "integer" => "an integer",
        "number" => "a number",
        "string" => "text",
        "array" => "a list",
        "object" => "a table",
        _ => "nothing",
    }
}
