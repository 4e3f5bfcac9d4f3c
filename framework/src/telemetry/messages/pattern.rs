//! What is looked for in a frame: a regex, or a place in a JSON document.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use regex::bytes::Regex;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::path::Path;

/// Where a frame carries something: a regex with one capture group, or a JSON path.
///
/// A text that begins with `$.` or `$[` is a path: as a regex it could find nothing, because nothing stands behind the end.
#[derive(Debug, Clone)]
pub struct FieldPattern {
    text: String,
    form: Form,
}

#[derive(Debug, Clone)]
enum Form {
    Regex(Regex),
    Path(Path),
}

impl FieldPattern {
    /// The `format` of its schema, by which the config checker knows how to read the text.
    pub const FORMAT: &'static str = "field-pattern";

    /// What stands there: the group's text, or the string or number at the path.
    pub(super) fn find<'f>(&self, frame: &'f [u8]) -> Option<Cow<'f, str>> {
        match &self.form {
            Form::Path(path) => path.find(frame),
            Form::Regex(regex) => {
                let group = regex.captures(frame)?.get(1)?;
                Some(String::from_utf8_lossy(group.as_bytes()))
            }
        }
    }
}

impl FromStr for FieldPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = if text.starts_with("$.") || text.starts_with("$[") {
            Form::Path(text.parse()?)
        } else {
            let regex = regex(text)?;
            match regex.captures_len() - 1 {
                1 => Form::Regex(regex),
                groups => {
                    return Err(format!(
                        "`{text}` has {groups} capture groups where one is needed, around what is looked for; write `(?:...)` for other groups"
                    ));
                }
            }
        };
        Ok(Self {
            text: text.to_owned(),
            form,
        })
    }
}

/// A regex that a frame must match somewhere.
#[derive(Debug, Clone)]
pub struct FramePattern(Regex);

impl FramePattern {
    /// The `format` of its schema.
    pub const FORMAT: &'static str = "frame-pattern";

    pub(super) fn is_in(&self, frame: &[u8]) -> bool {
        self.0.is_match(frame)
    }
}

impl FromStr for FramePattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        regex(text).map(Self)
    }
}

fn regex(text: &str) -> Result<Regex, String> {
    // The last line of the error says what is wrong; those before it draw the place.
    Regex::new(text).map_err(|error| {
        let told = error.to_string();
        let last = told.lines().last().unwrap_or_default().trim_start_matches("error: ");
        format!("`{text}` is no regex: {last}")
    })
}

/// Both are written as they were read.
macro_rules! as_text {
    ($pattern:ident, $text:expr) => {
        impl fmt::Display for $pattern {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let text: fn(&Self) -> &str = $text;
                f.write_str(text(self))
            }
        }

        impl PartialEq for $pattern {
            fn eq(&self, other: &Self) -> bool {
                let text: fn(&Self) -> &str = $text;
                text(self) == text(other)
            }
        }

        impl<'de> Deserialize<'de> for $pattern {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }

        impl Serialize for $pattern {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl JsonSchema for $pattern {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($pattern).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": Self::FORMAT })
            }
        }
    };
}

as_text!(FieldPattern, |pattern| &pattern.text);
as_text!(FramePattern, |pattern| pattern.0.as_str());
