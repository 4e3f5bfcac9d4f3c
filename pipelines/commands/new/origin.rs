//! Where a new crate gets Aqueduct from.

use std::fs;
use std::path::{Path, PathBuf};

use super::Mistake;

/// What stands behind `aqueduct =` in a manifest, and what of a checkout the new crate can share.
pub(super) struct Origin {
    /// A TOML value.
    pub(super) dependency: String,
    /// Where to read about it.
    pub(super) home: String,
    /// Its folder, when it is on this machine.
    pub(super) checkout: Option<PathBuf>,
}

impl Origin {
    pub(super) fn from_git(url: &str) -> Self {
        Self {
            dependency: format!("{{ git = {} }}", quoted(url)),
            home: url.to_owned(),
            checkout: None,
        }
    }

    /// The checkout that this program was built in, where it was then, or where it is now if the program was moved with it.
    pub(super) fn from_checkout() -> Result<Self, Mistake> {
        let built_in = Path::new(env!("CARGO_MANIFEST_DIR"));
        let program = std::env::current_exe().ok();
        let above = program.iter().flat_map(|program| program.ancestors());
        let checkout = [built_in].into_iter().chain(above).find(|folder| is_checkout(folder));
        let text = checkout.and_then(Path::to_str);
        let (Some(checkout), Some(text)) = (checkout, text) else {
            return Err(Mistake::wrong(
                "the checkout that this program was built in is not there any more, so the crate would have no Aqueduct to depend on; \
                 say where it comes from with --git URL",
            ));
        };
        Ok(Self {
            dependency: format!("{{ path = {} }}", quoted(text)),
            home: text.to_owned(),
            checkout: Some(checkout.to_owned()),
        })
    }
}

/// True unless cargo made it for itself, and may take it away.
fn is_checkout(folder: &Path) -> bool {
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
    manifest.lines().any(|line| line == "name = \"aqueduct\"")
        && folder.join("framework/Cargo.toml").exists()
        && !folder.ancestors().any(|above| above.ends_with("git/checkouts"))
}

/// As a TOML string, which a JSON string is too.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
