//! A few plugins, as far as the checker sees them.

use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{Catalog, PluginInfo, Role};
use crate::plugin::StoreUse;
use crate::units::{ByteSize, Period};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only the schemas of these structs are used")]
struct TcpClient {
    address: String,
    receive_buffer_bytes: Option<ByteSize>,
    reply: Option<Reply>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[expect(dead_code, reason = "only the schemas of these structs are used")]
enum Reply {
    Template { text: String },
    Nothing {},
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only the schemas of these structs are used")]
struct TcpServer {
    listen: String,
    /// Connections at once.
    #[serde(default)]
    connections: Option<u16>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Filter {
    contains: Option<String>,
    matching: Option<String>,
    #[serde(default)]
    mode: Mode,
}

#[derive(Deserialize, Serialize, JsonSchema, Default)]
#[serde(rename_all = "snake_case")]
enum Mode {
    /// Lets frames through that match.
    #[default]
    Keep,
    /// Lets the others through.
    Drop,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only the schemas of these structs are used")]
struct Delay {
    time: Period,
    #[schemars(range(min = 0.0, max = 1.0))]
    share: Option<f64>,
    #[serde(default)]
    only: Vec<u8>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only the schemas of these structs are used")]
struct File {
    path: String,
    #[serde(default)]
    rotate_bytes: Option<ByteSize>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only the schemas of these structs are used")]
struct Legacy {
    magic: u8,
}

/// The plugins of the tests.
pub(super) struct Fake;

fn info<C: JsonSchema>(role: Role, name: &str) -> PluginInfo {
    PluginInfo {
        name: name.into(),
        role,
        schema: schema_for!(C).to_value(),
        outputs: Vec::new(),
        listens: Vec::new(),
        paths: Vec::new(),
        will_not_wait: false,
        feeds_store: false,
        alone: None,
    }
}

impl Catalog for Fake {
    fn plugin(&self, role: Role, name: &str) -> Option<PluginInfo> {
        let listens = vec!["listen".to_owned()];
        Some(match (role, name) {
            (Role::Source, "tcp_client") => PluginInfo {
                will_not_wait: true,
                ..info::<TcpClient>(role, name)
            },
            (Role::Source | Role::Sink, "tcp_server") => PluginInfo {
                listens,
                ..info::<TcpServer>(role, name)
            },
            (Role::Processor, "filter") => PluginInfo {
                outputs: vec!["dropped".into()],
                ..info::<Filter>(role, name)
            },
            (Role::Processor, "delay") => info::<Delay>(role, name),
            (Role::Processor, "single") => PluginInfo {
                alone: Some("the one rate is that of all frames".into()),
                ..info::<Nothing>(role, name)
            },
            (Role::Sink, "tcp_client") => info::<TcpClient>(role, name),
            (Role::Sink, "file") => PluginInfo {
                paths: vec!["path".into()],
                ..info::<File>(role, name)
            },
            (Role::Sink, "blackhole" | "readers") => info::<Nothing>(role, name),
            _ => return None,
        })
    }

    fn names(&self, role: Role) -> Vec<String> {
        let names: &[&str] = match role {
            Role::Source => &["tcp_client", "tcp_server"],
            Role::Spill => &[],
            Role::Processor => &["delay", "filter"],
            Role::Sink => &["blackhole", "file", "tcp_client", "tcp_server"],
        };
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn framing(&self, name: &str) -> Option<PluginInfo> {
        (name == "legacy").then(|| info::<Legacy>(Role::Source, name))
    }

    fn framing_names(&self) -> Vec<String> {
        vec!["legacy".into()]
    }

    fn holds(&self, name: &str, settings: &Value) -> bool {
        name == "delay" && settings["share"] == 1.0
    }

    fn store_use(&self, name: &str, _: &Value) -> StoreUse {
        match name {
            "readers" => StoreUse::Cursors { at_least: 3 },
            _ => StoreUse::Any,
        }
    }

    fn open_files(&self, role: Role, _: &str, _: &Value) -> u64 {
        if role == Role::Source { 1000 } else { 2 }
    }

    fn accepts(&self, _: Role, name: &str, settings: &Value) -> Result<(), String> {
        if name != "filter" {
            return Ok(());
        }
        let filter = Filter::deserialize(settings).map_err(|error| error.to_string())?;
        let _ = (filter.contains, filter.mode);
        match filter.matching.as_deref().map(regex::Regex::new) {
            Some(Err(_)) => Err("matching is not a regular expression".into()),
            _ => Ok(()),
        }
    }
}
