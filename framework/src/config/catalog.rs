//! What the checker must know about the plugins there are, without depending on them.

use serde_json::Value;

use super::pipeline::Role;
use crate::plugin::{Awaits, StoreUse};

/// Why a plugin that holds frames back has no colleagues.
pub(crate) const SEVERAL_HOLD: &str =
    "it holds frames back, and each of several instances would see a part of them only";

/// What to do about several instances of a plugin that must see all frames, and why.
pub(crate) fn be_alone(why: &str) -> String {
    format!("{why}; set `workers = 1`")
}

/// One plugin, as the checker sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginInfo {
    /// Its `type` in a pipeline file.
    pub name: String,
    /// What it is in a flow; of no meaning for a framing.
    pub role: Role,
    /// The JSON schema of its own keys, as schemars derives it from its `Config`.
    pub schema: Value,
    /// Its outputs besides the main one (and `rejected`, which every processor and sink has).
    pub outputs: Vec<String>,
    /// Those of its keys that hold an address it listens on. A sink that has one waits for its client.
    pub listens: Vec<String>,
    /// Those of its keys that hold a path it writes or reads: resolved against the file's folder, never shared.
    pub paths: Vec<String>,
    /// A source whose peer closes when it is not read fast enough: to block it is to lose the connection.
    pub will_not_wait: bool,
    /// A source that feeds a spill store with `persist = "always"` directly, and nothing else.
    pub feeds_store: bool,
    /// Why there may be only one instance of a processor, if that is so.
    pub alone: Option<String>,
}

/// All plugins there are.
pub trait Catalog {
    /// The plugin of that role and name.
    fn plugin(&self, role: Role, name: &str) -> Option<PluginInfo>;

    /// The names of all plugins of that role. None for [`Role::Spill`].
    fn names(&self, role: Role) -> Vec<String>;

    /// The framing plugin of that name; the four built-in framings are not plugins.
    fn framing(&self, name: &str) -> Option<PluginInfo>;

    /// The names of all framing plugins.
    fn framing_names(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether the processor of that name, with these settings, holds frames back: then it cannot have several workers. Called for settings that
    /// were accepted.
    fn holds(&self, name: &str, settings: &Value) -> bool {
        let _ = (name, settings);
        false
    }

    /// What the sink of that name, with these settings, asks of the store in front of it. Called for settings that were accepted.
    fn store_use(&self, name: &str, settings: &Value) -> StoreUse {
        let _ = (name, settings);
        StoreUse::Any
    }

    /// How many files and sockets the source or sink of that name, with these settings, has open at once at most. Called for settings that were accepted.
    fn open_files(&self, role: Role, name: &str, settings: &Value) -> u64 {
        let _ = (role, name, settings);
        0
    }

    /// What the source of that name, with these settings, waits for before it tells its peer that a frame was taken. Called for settings that were accepted.
    fn awaits(&self, name: &str, settings: &Value) -> Awaits {
        let _ = (name, settings);
        Awaits::Nothing
    }

    /// Reads settings into the plugin's `Config`, which finds what a schema cannot say: a regex that does not compile.
    /// Called for settings that fit the schema. Must touch neither files nor sockets.
    ///
    /// # Errors
    /// What is wrong, for the person who wrote the file.
    fn accepts(&self, role: Role, name: &str, settings: &Value) -> Result<(), String> {
        let _ = (role, name, settings);
        Ok(())
    }
}
