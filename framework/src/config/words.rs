//! Reading a JSON schema: which types it allows, which names, and how to say so.

use serde_json::Value;

use crate::telemetry::messages::{FieldPattern, FramePattern};
use crate::units::{ByteSize, Period};

/// A schema's root, to which its `$ref`s point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words<'s>(pub(super) &'s Value);

impl<'s> Words<'s> {
    /// Follows `$ref`, unless keys stand beside it.
    pub(super) fn resolve(self, schema: &'s Value) -> &'s Value {
        let mut schema = schema;
        while schema.get("$ref").is_some() && schema.get("properties").is_none() {
            schema = self.resolve_once(schema);
        }
        schema
    }

    pub(super) fn resolve_once(self, schema: &'s Value) -> &'s Value {
        let pointer = schema["$ref"].as_str().and_then(|name| name.strip_prefix('#'));
        pointer
            .and_then(|pointer| self.0.pointer(pointer))
            .unwrap_or(&Value::Null)
    }

    /// The types a value may have; empty when any.
    pub(super) fn types(self, schema: &'s Value) -> Vec<&'s str> {
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
    pub(super) fn names(self, schema: &'s Value) -> Vec<&'s str> {
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
    pub(super) fn describe(self, schema: &'s Value) -> String {
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
            Some(FieldPattern::FORMAT) => {
                return "a regex with one group, or a JSON path such as \"$.order.id\"".into();
            }
            Some(FramePattern::FORMAT) => return "a regex".into(),
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

pub(super) fn alternatives(schema: &Value) -> Option<&[Value]> {
    let forms = schema.get("oneOf").or_else(|| schema.get("anyOf"))?;
    forms.as_array().map(Vec::as_slice)
}

/// The key by whose constant text the forms differ.
pub(super) fn tag(forms: &[Value]) -> Option<&str> {
    let constant = |form: &Value, name: &str| form["properties"][name]["const"].is_string();
    let first = forms.first()?.get("properties")?.as_object()?;
    first
        .keys()
        .map(String::as_str)
        .find(|name| forms.iter().all(|form| constant(form, name)))
}

pub(super) fn is(value: &Value, name: &str) -> bool {
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

pub(super) fn kind(value: &Value) -> &'static str {
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
