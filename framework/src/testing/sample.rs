//! The options of a plugin in its sample.

use toml::{Table, Value};

use crate::config::{Role, host_schema};
use crate::error::{Error, Result};

/// The plugin's options in a `sample.toml`: a table such as `[processors.NAME]` as it stands in a pipeline's file. For the test that a sample
/// works.
///
/// # Errors
/// When it is no TOML, or is not exactly one table of one actor.
pub fn sample_options(sample: &str) -> Result<String> {
    let roles: Table = toml::from_str(sample).map_err(|error| wrong("is not TOML").because(error))?;
    let mut actors = roles.into_iter().filter_map(|(role, actors)| match actors {
        Value::Table(actors) => Some((role, actors)),
        _ => None,
    });
    let (Some((role, actors)), None) = (actors.next(), actors.next()) else {
        return Err(wrong("does not hold one role"));
    };
    let role = Role::ALL.into_iter().find(|known| known.table() == role);
    let role = role.ok_or_else(|| wrong("is not of a role"))?;
    match actors.into_iter().next() {
        Some((_, Value::Table(options))) => Ok(own(role, options).to_string()),
        _ => Err(wrong("does not hold one actor")),
    }
}

/// The same for a sample that may also be the keys of the table alone, without its head.
pub(super) fn options_of(role: Role, sample: &str) -> Result<String> {
    let keys: Table = toml::from_str(sample).map_err(|error| wrong("is not TOML").because(error))?;
    if matches!(keys.get("type"), Some(Value::String(_))) {
        return Ok(own(role, keys).to_string());
    }
    sample_options(sample)
}

/// What the framework does not take itself.
fn own(role: Role, mut keys: Table) -> Table {
    let taken = host_schema(role);
    let taken = taken["properties"].as_object();
    keys.retain(|key, _| key != "type" && key != "framing" && !taken.is_some_and(|taken| taken.contains_key(key)));
    keys
}

fn wrong(what: &str) -> Error {
    Error::fatal(format!(
        "the sample {what}; it should be one table such as [processors.NAME]"
    ))
}
