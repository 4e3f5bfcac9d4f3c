//! The work folder: the server's program, the config, the log and the store's data.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Removed when dropped, unless it is kept.
pub(super) struct Folder {
    path: PathBuf,
    temporary: Option<TempDir>,
}

impl Folder {
    /// Makes a new one in the system's folder for temporary files.
    pub(super) fn new(keep: bool) -> Result<Self, String> {
        let made = tempfile::Builder::new().prefix("aqueduct-demo-").tempdir();
        let made = made.map_err(|error| {
            let place = std::env::temp_dir();
            format!(
                "no work folder in {}: {error}; set TMPDIR to a folder that can be written to",
                place.display()
            )
        })?;
        Ok(if keep {
            let path = made.keep();
            Self { path, temporary: None }
        } else {
            Self {
                path: made.path().to_owned(),
                temporary: Some(made),
            }
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// True when it goes away in the end.
    pub(super) fn is_temporary(&self) -> bool {
        self.temporary.is_some()
    }

    /// What stays in it, for whoever wants to go on by hand.
    pub(super) fn description(&self) -> String {
        format!(
            "Kept in {}:\n\
             \x20 legacy-feed.toml  the pipeline of act 3; its first lines say how to run it by hand\n\
             \x20 pipeline.log      what the pipeline said meanwhile\n\
             \x20 data/             the spill store's files\n\
             \x20 legacy_server.c   the server, and its program beside it",
            self.path.display()
        )
    }
}
