//! `aqueduct plugins`: the list, and everything about one.

mod built_in;

use crate::say::{say, tell};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use crate::commands::WRONG;
use crate::framework::config::{Catalog, Role, host_schema, nearest, process_schemas};
use crate::framework::framing;
use crate::framework::plugin::{About, Registry};
use crate::framework::units::{ByteSize, Period};

/// List plugins or tell about one
#[derive(Debug, Args)]
pub(crate) struct Plugins {
    /// The plugin's name
    name: Option<String>,
}

const ROLES: [Role; 3] = [Role::Source, Role::Processor, Role::Sink];

impl Plugins {
    pub(crate) fn run(&self, registry: &Registry) -> ExitCode {
        let Some(name) = &self.name else {
            for role in ROLES {
                tell!("{}:", role.table());
                for about in registry.all(role) {
                    tell!("  {:<14} {}", about.info.name, first_line(&about.info.schema));
                }
            }
            tell!(
                "spills:\n  {:<14} Keeps frames, in memory first, then on disk, until they can be taken.",
                "spill"
            );
            let framings = framing::BUILT_IN
                .iter()
                .copied()
                .map(str::to_owned)
                .chain(registry.framing_names());
            tell!("framings:\n  {}", framings.collect::<Vec<_>>().join(", "));
            tell!("settings of the process:");
            for (name, schema) in process_schemas() {
                tell!("  {name:<14} {}", first_line(&schema));
            }
            tell!(
                "\n`aqueduct plugins NAME` (also `spill`, `framing`, `log` ...) tells its options, with types, defaults and a sample."
            );
            return ExitCode::SUCCESS;
        };
        if built_in::tell_it(name) {
            return ExitCode::SUCCESS;
        }
        let all = ROLES.into_iter().flat_map(|role| registry.all(role));
        let found: Vec<_> = all.filter(|about| about.info.name == *name).collect();
        if let Some(info) = registry.framing_about(name) {
            tell!("{name} (framing)");
            describe(&info.schema);
            tell!("\n  options, besides those of every framing (`aqueduct plugins framing`):");
            options(&info.schema);
        } else if found.is_empty() {
            let meant = closest(registry, name).map_or_else(String::new, |near| format!("did you mean `{near}`? "));
            say!("no plugin is called `{name}`; {meant}`aqueduct plugins` lists them");
            return ExitCode::from(WRONG);
        }
        for about in found {
            tell_plugin(about, registry);
        }
        ExitCode::SUCCESS
    }
}

/// What is called nearly so, of all there is something to tell about.
fn closest(registry: &Registry, name: &str) -> Option<String> {
    let plugins = ROLES.into_iter().flat_map(|role| registry.all(role));
    let mut names: Vec<String> = plugins.map(|about| about.info.name.clone()).collect();
    names.extend(registry.framing_names());
    names.extend(built_in::names().map(str::to_owned));
    nearest(&names.iter().map(String::as_str).collect::<Vec<_>>(), name)
}

fn first_line(schema: &Value) -> &str {
    schema["description"]
        .as_str()
        .unwrap_or("")
        .lines()
        .next()
        .unwrap_or("")
}

fn describe(schema: &Value) {
    for line in schema["description"].as_str().unwrap_or("").lines() {
        tell!("  {line}");
    }
}

fn tell_plugin(about: &About, registry: &Registry) {
    let info = &about.info;
    tell!("{} ({})", info.name, info.role);
    describe(&info.schema);
    tell!("\n  options:");
    options(&info.schema);
    tell!("\n  options of every {}:", info.role);
    if info.role != Role::Processor {
        tell!("    framing: table, see `aqueduct plugins framing`");
    }
    options(&host_schema(info.role));
    tell_outputs(about, registry);
    if !about.sample.is_empty() {
        tell!("\n  sample:");
        if !about.sample.contains(&format!("[{}.", info.role.table())) {
            tell!("    [{}.my_{}]", info.role.table(), info.name);
        }
        for line in about.sample.trim_end().lines() {
            tell!("    {line}");
        }
    }
}

fn tell_outputs(about: &About, registry: &Registry) {
    match about.info.role {
        Role::Processor => {
            let outputs: Vec<_> = about.outputs.iter().copied().chain(["rejected"]).collect();
            tell!("\n  outputs besides the main one: {}", outputs.join(", "));
        }
        Role::Sink => tell!("\n  output: rejected"),
        Role::Source | Role::Spill => {}
    }
    if let Some(why) = &about.info.alone {
        tell!("\n  it cannot have several `workers`: {why}");
    }
    if let Some(limit) = registry
        .sample_hold_limit(&about.info.name)
        .filter(|_| about.info.role == Role::Processor)
    {
        tell!(
            "\n  holds frames back, with the options of its sample up to {} and {}; it cannot have several `workers`",
            ByteSize(limit.bytes as u64),
            Period(limit.time)
        );
    }
}

fn options(schema: &Value) {
    nested(schema, schema, 4);
}

/// The keys of a table, and below them those of the tables in it.
fn nested(root: &Value, table: &Value, indent: usize) {
    let required: Vec<_> = table["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (key, option) in table["properties"].as_object().into_iter().flatten() {
        let default = match &option["default"] {
            _ if required.contains(&key.as_str()) => "required".to_owned(),
            Value::Null if takes_null(option) => "optional".to_owned(),
            Value::Null => "has a default".to_owned(),
            value => format!("default {value}"),
        };
        let space = " ".repeat(indent);
        tell!("{space}{key}: {}{}, {default}", kind(root, option), range(option));
        for line in option["description"].as_str().unwrap_or("").lines() {
            tell!("{space}    {line}");
        }
        nested(root, resolve(root, option), indent + 4);
    }
}

/// The least and the most that a number may be, in the words of a config; nothing where it has no bounds of its own.
fn range(option: &Value) -> String {
    let say = |bound: &Value| {
        let number = bound.as_f64().filter(|number| *number > 0.0)?;
        Some(match option["format"].as_str() {
            Some("byte-size") => ByteSize(number as u64).to_string(),
            Some("period") => Period(Duration::from_secs_f64(number / 1e3)).to_string(),
            _ => bound.to_string(),
        })
    };
    match (say(&option["minimum"]), say(&option["maximum"])) {
        (Some(low), Some(high)) => format!(" ({low} to {high})"),
        (Some(low), None) => format!(" (at least {low})"),
        (None, Some(high)) => format!(" (at most {high})"),
        (None, None) => String::new(),
    }
}

/// True for what may be unset.
fn takes_null(option: &Value) -> bool {
    let null = |kind: &Value| kind == "null" || kind["type"] == "null";
    let choices = ["type", "anyOf", "oneOf"];
    choices
        .iter()
        .any(|key| option[*key].as_array().is_some_and(|kinds| kinds.iter().any(null)))
}

/// What an option refers to; itself when that is nothing else.
fn resolve<'a>(root: &'a Value, option: &'a Value) -> &'a Value {
    let choices = ["anyOf", "oneOf", "allOf"]
        .iter()
        .find_map(|key| option[*key].as_array());
    let inner = choices.and_then(|choices| choices.iter().find(|choice| choice["type"] != "null"));
    let option = inner.unwrap_or(option);
    let target = option["$ref"].as_str().and_then(|path| path.strip_prefix('#'));
    target.and_then(|path| root.pointer(path)).unwrap_or(option)
}

/// The type of an option, in words.
fn kind(root: &Value, option: &Value) -> String {
    if let Some(path) = option["$ref"].as_str().and_then(|path| path.strip_prefix('#')) {
        return root
            .pointer(path)
            .map_or_else(|| "table".to_owned(), |target| kind(root, target));
    }
    if let Some(format) = option["format"].as_str() {
        match format {
            "byte-size" => return "size such as \"8 MiB\"".to_owned(),
            "period" => return "time such as \"500ms\"".to_owned(),
            _ => {}
        }
    }
    if let Some(values) = option["enum"].as_array() {
        return values.iter().map(Value::to_string).collect::<Vec<_>>().join(" | ");
    }
    if let Some(value) = option.get("const") {
        return value.to_string();
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        if let Some(options) = option[key].as_array() {
            let kinds = options
                .iter()
                .map(|each| kind(root, each))
                .filter(|kind| kind != "null");
            return kinds.collect::<Vec<_>>().join(" | ");
        }
    }
    match &option["type"] {
        Value::String(name) => name.replace("object", "table"),
        Value::Array(names) => {
            let names = names.iter().filter_map(Value::as_str).filter(|name| *name != "null");
            names.collect::<Vec<_>>().join(" | ")
        }
        _ => "any".to_owned(),
    }
}
