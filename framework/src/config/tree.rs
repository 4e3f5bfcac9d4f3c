//! One tree of values out of a file, its overlays, variables and settings, with the place of each.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use config::{Config, ConfigError, Environment, FileFormat, Format, Map, Source, Value, ValueKind};

use super::lines::{Lines, spot_at};
use super::mistake::Mistake;
use super::report::{Place, PlaceKind, Places, Report, join};
use super::{spelling, text, variables};

/// The prefix of variables that set keys, and what stands between the names of a key.
const PREFIX: &str = "AQUEDUCT";
const SEPARATOR: &str = "__";

/// A file that has been read and parsed.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) path: PathBuf,
    text: String,
    format: FileFormat,
    values: Map<String, Value>,
}

impl File {
    /// Reads and parses a file, by its extension.
    ///
    /// # Errors
    /// It cannot be read, has an unknown extension, or does not parse.
    pub(super) fn read(path: &Path) -> Result<Self, Box<Mistake>> {
        let report = Report::new(path.display().to_string());
        let format = match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => FileFormat::Toml,
            Some("yaml" | "yml") => FileFormat::Yaml,
            Some("json") => FileFormat::Json,
            _ => {
                let mut mistake = report.at("", "unknown kind of file");
                mistake.expected("one of: .toml, .yaml, .yml, .json");
                return Err(Box::new(mistake));
            }
        };
        let text = text::read(path).map_err(|message| Box::new(report.at("", message)))?;
        if format == FileFormat::Json
            && let Some(twice) = text::twice(&text)
        {
            let mistake = report.at(
                &twice.key,
                "is given twice in the same table; one of them would win without a word",
            );
            return Err(Box::new(Mistake {
                line: Some(twice.line),
                column: Some(twice.column),
                ..mistake
            }));
        }
        let values = format.parse(None, &text).map_err(|error| {
            let (spot, message) = syntax(error.as_ref(), &text);
            let mistake = report.at("", message);
            let (line, column) = spot.unzip();
            Box::new(Mistake {
                line,
                column,
                ..mistake
            })
        })?;
        Ok(Self {
            path: path.to_owned(),
            text,
            format,
            values,
        })
    }

    /// The text value of a key at the top.
    pub(super) fn text_of(&self, key: &str) -> Option<&str> {
        match self.values.get(key).map(|value| &value.kind) {
            Some(ValueKind::String(text)) => Some(text),
            _ => None,
        }
    }
}

/// What a parser says, in one line, and where.
fn syntax(error: &(dyn std::error::Error + Send + Sync + 'static), text: &str) -> (Option<(usize, usize)>, String) {
    if let Some(error) = error.downcast_ref::<toml::de::Error>() {
        let spot = error.span().map(|span| spot_at(text, span.start));
        let hint = toml_hint(error.message());
        return (spot, format!("not valid TOML: {}{hint}", error.message()));
    }
    // The parsers of JSON and YAML are hidden behind the `config` crate, and tell the place only in their text.
    let error = error.to_string();
    let number = |word: &str| -> Option<usize> {
        let (_, rest) = error.split_once(word)?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    let spot = number(" line ").zip(number(" column "));
    (spot, format!("cannot be understood: {}", error.trim()))
}

/// What the words of the parser ask for, for somebody who does not know TOML.
fn toml_hint(message: &str) -> &'static str {
    if message.contains("string") && (message.contains("literal") || message.contains("quoted")) {
        "; a value is text in quotes, such as \"8 MiB\", a number, true or false, [a list] or { a = \"table\" }"
    } else if message.contains("newline") {
        "; each key stands on a line of its own"
    } else {
        ""
    }
}

/// One `key=value` of the command line.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) key: String,
    pub(super) value: String,
}

/// Everything that makes up one tree.
#[derive(Debug, Default)]
pub(super) struct Layers {
    /// The file and its overlays, each over the one before.
    pub(super) files: Vec<File>,
    /// Variables that set keys.
    pub(super) variables: Vec<(String, String)>,
    /// Settings of the command line.
    pub(super) settings: Vec<Setting>,
}

/// Values with keys that the `config` crate is to lay over what is there.
#[derive(Debug, Clone)]
struct Layer(Map<String, Value>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.clone())
    }
}

/// Lays everything over each other and replaces `${VAR}`. What goes wrong is in the report, as are the places.
pub(super) fn build(layers: Layers, variables: &HashMap<String, String>, report: &mut Report) -> serde_json::Value {
    let mut builder = Config::builder();
    let contents: Vec<Map<String, Value>> = layers.files.iter().map(|file| file.values.clone()).collect();
    let written: Vec<&Map<String, Value>> = contents.iter().collect();
    for file in layers.files {
        let lines = Lines::of(&file.text, file.format);
        let name = file.path.display().to_string();
        let place = |key: &str| Place {
            file: name.clone(),
            spot: lines.spot(key),
            kind: PlaceKind::File,
        };
        record(&mut report.places, &file.values, "", &place);
        builder = builder.add_source(Layer(file.values));
    }
    let mut from_variables = Map::new();
    for (key, value) in overrides(&layers.variables).unwrap_or_default() {
        // A variable is written in capital letters, whatever the key is: it means the one that is there.
        let meant = spelling::of(&key, written.iter().copied());
        if let Some(others) = &meant.others {
            let place = format!("variable {}", variable(&key));
            let mistake = report.add(
                &key,
                format!("means any of {others}, which differ only by case; use --set"),
            );
            mistake.file = place;
            (mistake.line, mistake.column) = (None, None);
            continue;
        }
        from_variables.insert(meant.key, value);
    }
    for key in from_variables.keys() {
        let file = format!("variable {}", variable(key));
        report.places.replace(
            key,
            Place {
                file,
                spot: None,
                kind: PlaceKind::Variable,
            },
        );
    }
    builder = builder.add_source(Layer(from_variables));
    for setting in layers.settings {
        let meant = spelling::of(&setting.key, written.iter().copied()).key;
        if !meant.eq(&setting.key) {
            let mistake = report.add(&setting.key, "differs from a key that is there only by case");
            mistake.expected(format!("`{meant}`"));
            mistake.file = "--set".to_owned();
            (mistake.line, mistake.column) = (None, None);
            continue;
        }
        let value = literal(&setting.value);
        let place = |_: &str| Place {
            file: "--set".into(),
            spot: None,
            kind: PlaceKind::Setting,
        };
        record(
            &mut report.places,
            &Map::from_iter([(setting.key.clone(), value.clone())]),
            "",
            &place,
        );
        builder = builder.add_source(Layer(Map::from_iter([(setting.key, value)])));
    }
    let tree = builder.build().and_then(Config::try_deserialize::<serde_json::Value>);
    let mut tree = tree.unwrap_or_else(|error| {
        report.add("", error.to_string());
        serde_json::Value::Null
    });
    tree.sort_all_objects();
    resolve(&mut tree, "", variables, report);
    tree
}

/// The variables that set keys, as `sinks.network.address`.
fn overrides(variables: &[(String, String)]) -> Result<Map<String, Value>, ConfigError> {
    Environment::with_prefix(PREFIX)
        .prefix_separator(SEPARATOR)
        .separator(SEPARATOR)
        .source(Some(variables.iter().cloned().collect()))
        .collect()
}

/// The keys that a variable sets; none when it is not one of ours.
pub(super) fn key_of(variable: &str) -> Option<String> {
    let key = variable.strip_prefix(PREFIX)?.strip_prefix(SEPARATOR)?;
    Some(key.to_lowercase().replace(SEPARATOR, "."))
}

fn variable(key: &str) -> String {
    format!("{PREFIX}{SEPARATOR}{}", key.replace('.', SEPARATOR).to_uppercase())
}

/// Reads a value in TOML's syntax; what is none is text.
pub(super) fn literal(text: &str) -> Value {
    let parsed = FileFormat::Toml.parse(None, &format!("value = {text}")).ok();
    match parsed
        .filter(|table| table.len() == 1)
        .and_then(|mut table| table.remove("value"))
    {
        Some(value) => value,
        None => Value::new(None, text),
    }
}

fn record(places: &mut Places, table: &Map<String, Value>, at: &str, place: &dyn Fn(&str) -> Place) {
    for (name, value) in table {
        record_value(places, value, &join(at, name), place);
    }
}

fn record_value(places: &mut Places, value: &Value, key: &str, place: &dyn Fn(&str) -> Place) {
    match &value.kind {
        ValueKind::Table(table) => {
            places.first(key, place(key));
            record(places, table, key, place);
        }
        ValueKind::Array(items) => {
            places.replace(key, place(key));
            for (index, item) in items.iter().enumerate() {
                record_value(places, item, &format!("{key}[{index}]"), place);
            }
        }
        _ => places.replace(key, place(key)),
    }
}

/// Replaces `${VAR}` in all text that stands in a file.
fn resolve(value: &mut serde_json::Value, key: &str, variables: &HashMap<String, String>, report: &mut Report) {
    match value {
        serde_json::Value::Object(table) => {
            for (name, value) in table {
                resolve(value, &join(key, name), variables, report);
            }
        }
        serde_json::Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                resolve(item, &format!("{key}[{index}]"), variables, report);
            }
        }
        serde_json::Value::String(text) => {
            let Some(place) = report
                .places
                .at(key)
                .filter(|place| place.kind == PlaceKind::File)
                .cloned()
            else {
                return;
            };
            if variables::has_loose_dollar(text) {
                report.places.loose_dollar(key);
            }
            match variables::replace(text, variables) {
                Ok(None) => {}
                Ok(Some(replaced)) => {
                    *text = replaced;
                    report.places.replace(
                        key,
                        Place {
                            kind: PlaceKind::Variable,
                            ..place
                        },
                    );
                }
                Err(message) => {
                    report.add(key, message);
                }
            }
        }
        _ => {}
    }
}
