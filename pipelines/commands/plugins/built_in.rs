//! What is no plugin, though people look for it there: the spill store, the built-in framings, the settings of the process.

use crate::framework::config::{Role, host_schema, process_schemas};
use crate::framework::framing;
use crate::say::tell;

use super::{describe, options};

/// The settings of the process, each as it may stand in a file.
const SAMPLES: [(&str, &str); 4] = [
    (
        "telemetry",
        "[telemetry]\nendpoint = \"http://127.0.0.1:4318\"   # an OTLP collector\nsample_ratio = 0.1",
    ),
    ("log", "[log]\nformat = \"json\"\nlevel = \"info\""),
    (
        "admin",
        "[admin]\nsocket = \"/run/aqueduct/feed.sock\"\nreports = \"/var/lib/aqueduct\"",
    ),
    ("shutdown", "[shutdown]\ndeadline = \"30s\""),
];

/// The names that [`tell_it`] knows.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let settings = SAMPLES.iter().map(|(name, _)| *name);
    ["spill", "framing"]
        .into_iter()
        .chain(framing::BUILT_IN.iter().copied())
        .chain(settings)
}

/// Tells about one of them; false when it is none.
pub(super) fn tell_it(name: &str) -> bool {
    match name {
        "spill" => {
            tell!("spill store: memory first, then redb segments on disk, in one order\n\n  options:");
            options(&host_schema(Role::Spill));
        }
        "framing" => {
            for (name, schema) in framing::schemas() {
                tell_framing(name, &schema);
                tell!("");
            }
            tell!("delimited, length_delimited and framings of plugins also take:");
            options(&framing::limits_schema());
        }
        _ => return tell_framing_of(name) || tell_setting(name),
    }
    true
}

fn tell_framing_of(name: &str) -> bool {
    let found = framing::schemas().into_iter().find(|(known, _)| *known == name);
    if let Some((name, schema)) = &found {
        tell_framing(name, schema);
    }
    found.is_some()
}

fn tell_framing(name: &str, schema: &serde_json::Value) {
    tell!("framing = {{ type = \"{name}\", ... }}");
    options(schema);
}

fn tell_setting(name: &str) -> bool {
    let found = process_schemas().into_iter().find(|(known, _)| *known == name);
    if let Some((_, schema)) = &found {
        tell!("{name} (a setting of the process, in the file of a single pipeline or in that of `--process`)");
        describe(schema);
        tell!("\n  options:");
        options(schema);
        tell!("\n  sample:");
        for line in SAMPLES
            .iter()
            .filter(|(of, _)| *of == name)
            .flat_map(|(_, sample)| sample.lines())
        {
            tell!("    {line}");
        }
    }
    found.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_of_the_process_has_a_sample() {
        let known = process_schemas().map(|(name, _)| name);
        assert_eq!(SAMPLES.map(|(name, _)| name), known);
    }
}
