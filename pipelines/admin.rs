//! The admin socket: a Unix socket of mode 0600 per pipeline, found by the pipeline's name. Whoever connects is sent
//! the pipeline's status as one JSON document, and the connection is closed.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};

use crate::framework::pipeline::PipelineStatus;

/// Where the socket of a pipeline is, unless `[admin] socket` says otherwise: `$XDG_RUNTIME_DIR/aqueduct/NAME.sock`, or
/// `/tmp/aqueduct-UID/NAME.sock` without that variable.
pub(crate) fn path(pipeline: &str) -> PathBuf {
    folder().join(format!("{pipeline}.sock"))
}

/// The folder of the sockets of this user's pipelines.
pub(crate) fn folder() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(runtime) if !runtime.is_empty() => PathBuf::from(runtime).join("aqueduct"),
        _ => std::env::temp_dir().join(format!("aqueduct-{}", user())),
    }
}

fn user() -> u32 {
    // The owner of our own /proc entry is who we are; no other call needs `unsafe` less.
    std::fs::metadata("/proc/self").map_or(0, |own| own.uid())
}

/// An open admin socket; its file is removed when this is dropped.
pub(crate) struct Admin {
    path: PathBuf,
    listener: UnixListener,
}

impl Admin {
    /// Opens the socket. Must be called in the system's runtime.
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        if let Some(parent) = path.parent() {
            private_folder(parent)?;
        }
        if std::os::unix::net::UnixStream::connect(&path).is_ok() {
            let text = format!("{} answers: a pipeline of this name is running already", path.display());
            return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
        }
        // Nobody answers, so it was left behind by a process that was killed.
        if let Err(error) = std::fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { path, listener })
    }

    /// Answers with what `now` says, until dropped. One client at a time: an answer is small and never waits for the client for longer than a second.
    pub(crate) async fn serve(&self, now: impl Fn() -> PipelineStatus) {
        loop {
            let Ok((client, _)) = self.listener.accept().await else {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            };
            let text = serde_json::to_vec(&now()).unwrap_or_default();
            // A client that does not read its answer asked for nothing we owe it.
            let _ = tokio::time::timeout(std::time::Duration::from_secs(1), answer(client, &text)).await;
        }
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn answer(mut client: UnixStream, text: &[u8]) -> io::Result<()> {
    client.write_all(text).await?;
    client.shutdown().await
}

/// The folder, made with mode 0700; one that somebody else owns is refused.
fn private_folder(folder: &Path) -> io::Result<()> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made?;
    let owner = std::fs::metadata(folder)?.uid();
    if owner != user() && owner != 0 {
        let text = format!(
            "{} belongs to user {owner}; set XDG_RUNTIME_DIR or `[admin] socket`",
            folder.display()
        );
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    Ok(())
}
