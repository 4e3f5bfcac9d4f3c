//! `aqueduct new plugin`: a crate with a plugin that works.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::kind::{Kind, Template};
use super::origin::{Origin, quoted};
use super::{Mistake, commands, name, write};
use crate::framework::plugin::Registry;

const MANIFEST: &str = include_str!("templates/manifest.toml");
const README: &str = include_str!("templates/README.md");
const IGNORED: &str = "/target/\n/data/\n";

/// Write a crate with a plugin that works
#[derive(Debug, Args)]
pub(super) struct NewPlugin {
    /// Its `type` in a config, and the crate's name: small letters, digits, `_`
    name: String,
    /// What it does
    #[arg(long, value_enum, default_value_t = Kind::Processor)]
    kind: Kind,
    /// The crate's folder, which must be new or empty [default: NAME]
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// Take Aqueduct from this git repository instead of the checkout that this program was built in
    #[arg(long, value_name = "URL")]
    git: Option<String>,
}

impl NewPlugin {
    /// Writes the crate; says what to do with it.
    pub(super) fn write(&self, registry: &Registry) -> Result<String, Mistake> {
        name::check(&self.name, self.kind, registry)?;
        let folder = self.path.clone().unwrap_or_else(|| PathBuf::from(&self.name));
        let origin = match &self.git {
            Some(url) => Origin::from_git(url),
            None => Origin::from_checkout()?,
        };
        must_be_new(&folder)?;
        let template = self.kind.template();
        for (file, text) in self.files(&template, &origin) {
            write(&folder.join(file), &text)?;
        }
        let next = [
            format!("cd {}", folder.display()),
            "cargo test".to_owned(),
            self.filled(template.trial),
        ];
        let (kind, name) = (self.kind, &self.name);
        Ok(format!(
            "Wrote the {kind} `{name}` to {}: src/main.rs is the plugin with its tests, pipeline.toml uses it, README.md says more.\n{}",
            folder.display(),
            commands(&next)
        ))
    }

    fn files(&self, template: &Template, origin: &Origin) -> Vec<(&'static str, String)> {
        let dependencies = format!(
            "aqueduct = {}\nschemars = \"1.2\"\nserde = {{ version = \"1\", features = [\"derive\"] }}\n{}",
            origin.dependency, template.dependencies
        );
        // Paths and addresses last, because they may hold anything.
        let manifest = self.filled(MANIFEST).replace("my_dependencies\n", &dependencies);
        let readme = README
            .replace("my_role", &self.kind.to_string())
            .replace("my_trial", template.trial);
        let readme = self.filled(&readme).replace("my_home", &origin.home);
        let mut files = vec![
            ("Cargo.toml", manifest),
            ("src/main.rs", self.filled(template.program)),
            ("pipeline.toml", self.filled(template.pipeline)),
            ("README.md", readme),
            (".gitignore", IGNORED.to_owned()),
        ];
        if let Some(checkout) = &origin.checkout {
            files.extend(shared(checkout));
        }
        files
    }

    fn filled(&self, template: &str) -> String {
        template
            .replace("my_plugin", &self.name)
            .replace("MyPlugin", &name::type_name(&self.name))
    }
}

/// What makes the first build take seconds instead of minutes: the dependencies in the versions, and built in the folder, of the checkout.
fn shared(checkout: &Path) -> Vec<(&'static str, String)> {
    let mut files = Vec::new();
    if let Ok(versions) = fs::read_to_string(checkout.join("Cargo.lock")) {
        files.push(("Cargo.lock", versions));
    }
    if let Some(target) = checkout.join("target").to_str() {
        let text = format!(
            "# Built where Aqueduct is, so that what was built for it is not built again. Without this file the crate has a `target` of its own.\n\
             [build]\ntarget-dir = {}\n",
            quoted(target)
        );
        files.push((".cargo/config.toml", text));
    }
    files
}

fn must_be_new(folder: &Path) -> Result<(), Mistake> {
    let name = folder.display();
    match fs::read_dir(folder).map(Iterator::count) {
        Ok(0) => Ok(()),
        Ok(_) => Err(Mistake::wrong(format!(
            "there is something in {name} already, and nothing is overwritten; give another folder with --path DIR"
        ))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Mistake::wrong(format!(
            "cannot write to {name}: {error}; give another folder with --path DIR"
        ))),
    }
}
