//! What a plugin says of itself: names, options, the sample.

use serde_json::{Map, Value};

use super::{Checked, broken, contained, keeps};
use crate::error::Result;
use crate::plugin::About;
use crate::testing::options;
use crate::testing::sample::options_of;

/// A plugin's options for its suite: those given, else those of its sample.
pub(super) fn choose(given: Option<&str>, about: &About) -> Checked<String> {
    let sample = options_of(about.info.role, about.sample);
    match (given, sample) {
        (Some(given), _) => Ok(given.to_owned()),
        (None, _) if about.sample.trim().is_empty() => Err(broken(
            "SAMPLE is a table that works",
            "it is empty; write one, or give the suite options",
        )),
        (None, Ok(sample)) => Ok(sample),
        (None, Err(error)) => Err(broken("SAMPLE is a table that works", error)),
    }
}

/// Everything that can be said without running it. `build` is `new` and a drop.
pub(super) fn check(about: &About, chosen: &str, build: &dyn Fn(&Value) -> Result<()>) -> Checked {
    name("NAME", &about.info.name)?;
    outputs(about)?;
    schema(&about.info.schema)?;
    if !about.sample.trim().is_empty() {
        let line = "SAMPLE is a table that works";
        let sample = options_of(about.info.role, about.sample).and_then(|text| options(&text));
        let sample = sample.map_err(|error| broken(line, error))?;
        contained(line, || build(&sample))?.map_err(|error| broken(line, error))?;
    }
    let settings = options(chosen).map_err(|error| broken("the suite's options are TOML", error))?;
    build_unused(&settings, build)?;
    refuses_unknown(settings, build)
}

/// Built, and dropped without being used: what `check` does with every plugin of a pipeline.
pub(super) fn build_unused(settings: &Value, build: &dyn Fn(&Value) -> Result<()>) -> Checked {
    let line = "an instance may be built and dropped unused, any number of times";
    for _ in 0..2 {
        contained(line, || build(settings))?.map_err(|error| broken(line, format!("`new` says: {error}")))?;
    }
    Ok(())
}

pub(super) fn refuses_unknown(settings: Value, build: &dyn Fn(&Value) -> Result<()>) -> Checked {
    let line = "options that do not exist are refused";
    let mut keys = match settings {
        Value::Object(keys) => keys,
        _ => Map::new(),
    };
    keys.insert("no_such_option_at_all".to_owned(), Value::from(1));
    let built = contained(line, || build(&Value::Object(keys)))?;
    keeps(line, built.is_err(), || {
        "`new` got one more and said nothing; put #[serde(deny_unknown_fields)] on the Config".to_owned()
    })
}

pub(super) fn name(what: &str, name: &str) -> Checked {
    let good = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    keeps("names are [a-z][a-z0-9_]*", good, || format!("{what} is {name:?}"))
}

/// True for an `Option`: its default is to be unset.
fn takes_null(option: &Value) -> bool {
    let among = |kinds: &Value| {
        kinds
            .as_array()
            .is_some_and(|kinds| kinds.iter().any(|kind| kind == "null"))
    };
    let choices = ["anyOf", "oneOf"]
        .iter()
        .filter_map(|key| option[*key].as_array())
        .flatten();
    among(&option["type"]) || choices.into_iter().any(|choice| choice["type"] == "null")
}

fn outputs(about: &About) -> Checked {
    for (index, output) in about.outputs.iter().enumerate() {
        name("an output", output)?;
        let again = about.outputs[..index].contains(output) || *output == crate::plugin::REJECTED;
        keeps("OUTPUTS are unique, and `rejected` is always there", !again, || {
            format!("`{output}` is there twice")
        })?;
    }
    Ok(())
}

/// The help of `aqueduct plugins NAME` is made of the doc comments and defaults.
pub(super) fn schema(schema: &Value) -> Checked {
    let required = |key: &str| {
        schema["required"]
            .as_array()
            .is_some_and(|keys| keys.iter().any(|known| known == key))
    };
    for (key, option) in schema["properties"].as_object().into_iter().flatten() {
        let told = option["description"]
            .as_str()
            .is_some_and(|text| !text.trim().is_empty());
        keeps("every option has a doc comment, which is its help", told, || {
            format!("`{key}` has none")
        })?;
        let shown = required(key) || option.get("default").is_some() || takes_null(option);
        keeps("an option that may be left out shows its default", shown, || {
            format!("that of `{key}` is unknown; derive `serde::Serialize` for its type")
        })?;
    }
    Ok(())
}
