//! The tables of actors: what the framework takes of each, and what is left for its plugin.

use std::path::{Path, PathBuf};

use schemars::{JsonSchema, schema_for};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::SPILL;
use super::catalog::{Catalog, PluginInfo, SEVERAL_HOLD, be_alone};
use super::framing::{BUILT_IN, FramingConfig, FramingKeys, OversizeKeys};
use super::host::{HostConfig, ProcessorHost, SinkHost, SourceHost, SpillConfig};
use super::pipeline::{ActorConfig, Role};
use super::report::{Report, join};
use super::schema::check;
use super::url::without_secrets;

/// An actor's table, checked as far as it goes.
#[derive(Debug)]
pub(super) struct Actor {
    pub(super) name: String,
    pub(super) role: Role,
    /// The key of its table.
    pub(super) key: String,
    /// Unset for spill stores and unknown plugins.
    pub(super) info: Option<PluginInfo>,
    /// Unset when there is a mistake in its table.
    pub(super) config: Option<ActorConfig>,
}

/// Reads the tables of all roles.
pub(super) fn read(tree: &mut Value, folder: &Path, catalog: &dyn Catalog, report: &mut Report) -> Vec<Actor> {
    let mut actors: Vec<Actor> = Vec::new();
    for role in Role::ALL {
        let tables = tree
            .get_mut(role.table())
            .and_then(Value::as_object_mut)
            .map(std::mem::take);
        for (name, table) in tables.unwrap_or_default() {
            let key = join(role.table(), &name);
            if !is_name(&name, "_") {
                report
                    .add(&key, "not a name for an actor")
                    .expected("small letters, digits and `_`, a letter first");
            }
            if let Some(first) = actors.iter().find(|actor| actor.name == name) {
                report.add(&key, format!("the name is taken by {}", first.key));
                continue;
            }
            if let Value::Object(table) = table {
                actors.push(
                    Reader {
                        name,
                        role,
                        key,
                        folder,
                        catalog,
                        report,
                    }
                    .read(table),
                );
            }
        }
    }
    actors
}

/// True for `[a-z][a-z0-9]*`, with the other characters allowed behind the first.
pub(super) fn is_name(name: &str, others: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || others.contains(c))
}

/// Reads one actor's table.
struct Reader<'a> {
    name: String,
    role: Role,
    key: String,
    folder: &'a Path,
    catalog: &'a dyn Catalog,
    report: &'a mut Report,
}

impl Reader<'_> {
    fn read(mut self, table: Map<String, Value>) -> Actor {
        let (info, config) = match self.role {
            Role::Spill => (None, self.spill(table)),
            Role::Source => self.plugin::<SourceHost>(table, HostConfig::Source),
            Role::Processor => self.plugin::<ProcessorHost>(table, HostConfig::Processor),
            Role::Sink => self.plugin::<SinkHost>(table, HostConfig::Sink),
        };
        let config = config.filter(|_| self.report.clean(&self.key));
        Actor {
            name: self.name,
            role: self.role,
            key: self.key,
            info,
            config,
        }
    }

    fn spill(&mut self, table: Map<String, Value>) -> Option<ActorConfig> {
        let mut spill: SpillConfig = self.take(table)?;
        if spill.directory.as_os_str().is_empty() {
            self.report
                .add(&join(&self.key, "directory"), "is empty")
                .expected("a folder of its own");
        }
        check_path(&join(&self.key, "directory"), &spill.directory, self.report);
        spill.directory = resolve(self.folder, &spill.directory);
        Some(self.config(SPILL, Value::Object(Map::new()), HostConfig::Spill(spill), None))
    }

    fn plugin<H: JsonSchema + DeserializeOwned>(
        &mut self,
        mut table: Map<String, Value>,
        wrap: fn(H) -> HostConfig,
    ) -> (Option<PluginInfo>, Option<ActorConfig>) {
        let plugin = table.remove("type");
        let info = self.find(plugin);
        let framed = matches!(self.role, Role::Source | Role::Sink);
        let framing = if framed { table.remove("framing") } else { None };
        let framing = framing.map(|value| self.framing(value));
        let own = schema_for!(H).to_value();
        let mut names: Vec<&str> = own["properties"]
            .as_object()
            .into_iter()
            .flat_map(Map::keys)
            .map(String::as_str)
            .collect();
        let host = split(&mut table, &names);
        names.push("type");
        names.extend(framed.then_some("framing"));
        let host = self.take::<H>(host).map(wrap);
        let Some(info) = info else { return (None, None) };
        let settings = self.settings(table, &info, &names);
        self.alone_if_it_must(&info, &settings, host.as_ref());
        let config = match (host, framing) {
            (Some(host), None) => Some(self.config(&info.name, settings, host, None)),
            (Some(host), Some(Some(framing))) => Some(self.config(&info.name, settings, host, Some(framing))),
            _ => None,
        };
        (Some(info), config)
    }

    fn config(&self, plugin: &str, settings: Value, host: HostConfig, framing: Option<FramingConfig>) -> ActorConfig {
        ActorConfig {
            name: self.name.clone(),
            role: self.role,
            plugin: plugin.into(),
            settings,
            host,
            framing,
        }
    }

    /// The plugin that `type` names.
    fn find(&mut self, plugin: Option<Value>) -> Option<PluginInfo> {
        let names = self.catalog.names(self.role);
        let names = names.iter().map(String::as_str);
        let key = join(&self.key, "type");
        match plugin {
            Some(Value::String(name)) => {
                let info = self.catalog.plugin(self.role, &name);
                if info.is_none() {
                    self.report
                        .add(&key, format!("no {} is called `{}`", self.role, without_secrets(&name)))
                        .one_of(names, &name);
                }
                info
            }
            Some(_) => {
                self.report.add(&key, "wrong type").expected("text");
                None
            }
            None => {
                self.report.add(&key, "missing").one_of(names, "");
                None
            }
        }
    }

    /// The plugin's own keys, with absolute paths.
    fn settings(&mut self, table: Map<String, Value>, info: &PluginInfo, beside: &[&str]) -> Value {
        let mut settings = Value::Object(table);
        check(&mut settings, &info.schema, beside, &self.key, self.report);
        for name in &info.paths {
            if let Some(Value::String(path)) = settings.get_mut(name) {
                check_path(&join(&self.key, name), Path::new(path.as_str()), self.report);
                *path = resolve(self.folder, Path::new(path.as_str())).display().to_string();
            }
        }
        if self.report.clean(&self.key)
            && let Err(message) = self.catalog.accepts(self.role, &info.name, &settings)
        {
            // It speaks of its own keys in backticks: the first of them that is one is the place.
            let named = message.split('`').skip(1).step_by(2);
            let key = named
                .map(|name| join(&self.key, name))
                .find(|key| self.report.places.is_written(key));
            self.report.add(key.as_ref().unwrap_or(&self.key), message);
        }
        settings
    }

    /// A processor that must see all frames has no colleagues, nor has one that holds frames back.
    fn alone_if_it_must(&mut self, info: &PluginInfo, settings: &Value, host: Option<&HostConfig>) {
        let Some(HostConfig::Processor(host)) = host else {
            return;
        };
        if host.workers.get() == 1 {
            return;
        }
        let why = info.alone.clone().or_else(|| {
            let holds = self.report.clean(&self.key) && self.catalog.holds(&info.name, settings);
            holds.then(|| SEVERAL_HOLD.to_owned())
        });
        if let Some(why) = why {
            self.report.add(&join(&self.key, "workers"), be_alone(&why));
        }
    }

    /// Checks a table of the framework's own and reads it.
    fn take<T: JsonSchema + DeserializeOwned>(&mut self, table: Map<String, Value>) -> Option<T> {
        take(Value::Object(table), &self.key, self.report)
    }

    fn framing(&mut self, value: Value) -> Option<FramingConfig> {
        let key = join(&self.key, "framing");
        let named = value.get("type").and_then(Value::as_str).map(str::to_owned);
        match (value, named) {
            (Value::Object(table), Some(name)) if !BUILT_IN.contains(&name.as_str()) => self.custom(table, name, &key),
            (value, _) => match take::<FramingKeys>(value, &key, self.report)?.finish() {
                Ok(framing) => Some(framing),
                Err((name, message)) => {
                    self.report.add(&join(&key, name), message);
                    None
                }
            },
        }
    }

    /// The framing of a plugin.
    fn custom(&mut self, mut table: Map<String, Value>, name: String, key: &str) -> Option<FramingConfig> {
        let Some(info) = self.catalog.framing(&name) else {
            let plugins = self.catalog.framing_names();
            let names = plugins.iter().map(String::as_str).chain(BUILT_IN);
            self.report
                .add(
                    &join(key, "type"),
                    format!("no framing is called `{}`", without_secrets(&name)),
                )
                .one_of(names, &name);
            return None;
        };
        table.remove("type");
        let names = ["max_frame_bytes", "on_oversize", "type"];
        let oversize = split(&mut table, &names);
        let oversize: OversizeKeys = take(Value::Object(oversize), key, self.report)?;
        let mut settings = Value::Object(table);
        check(&mut settings, &info.schema, &names, key, self.report);
        let (max_frame_bytes, on_oversize) = (oversize.max_frame_bytes.bytes(), oversize.on_oversize);
        Some(FramingConfig::Custom {
            name,
            settings,
            max_frame_bytes,
            on_oversize,
        })
    }
}

/// Checks a value against the schema of `T` and reads it; none when there are mistakes.
pub(super) fn take<T: JsonSchema + DeserializeOwned>(mut value: Value, key: &str, report: &mut Report) -> Option<T> {
    let before = report.mistakes.len();
    check(&mut value, schema_for!(T).as_value(), &[], key, report);
    if report.mistakes.len() > before {
        return None;
    }
    match serde_json::from_value(value) {
        Ok(read) => Some(read),
        Err(error) => {
            report.add(key, error.to_string());
            None
        }
    }
}

/// Takes the keys of those names out of a table.
fn split(table: &mut Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    names
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), table.remove(*name)?)))
        .collect()
}

/// Reports what a shell would have replaced in a path, and nobody does here: it would be a strange name otherwise.
pub(super) fn check_path(key: &str, path: &Path, report: &mut Report) {
    let text = path.to_string_lossy();
    if text.starts_with('~') {
        let (home, rest) = text.split_once('/').unwrap_or((&text, ""));
        let mut mistake = format!("`{home}` is not replaced by a home directory here; ");
        mistake += &match home {
            "~" => format!("write `${{HOME}}/{rest}`, or `./{text}` for a file of that name"),
            _ => format!("write the whole path, or `./{text}` for a file of that name"),
        };
        report.add(key, mistake);
    } else if report.places.has_loose_dollar(key) {
        let message = format!("`{text}` has a `$` that begins no variable of the form `${{NAME}}`, in capital letters");
        report
            .add(key, message)
            .expected("such as `${HOME}/data`; `$$` stands for `$` itself");
    }
}

/// `path` seen from `folder`, without `.` and `..`, so that equal paths read the same. Symbolic links are not followed.
pub(super) fn resolve(folder: &Path, path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in folder.join(path).components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}
