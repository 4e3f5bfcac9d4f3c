//! The admin socket: a Unix socket of mode 0600 per pipeline, found by the pipeline's name.
//!
//! A client sends one request, a line of at most 64 KiB, and is sent one JSON document; then the connection is closed.
//!
//! | request | answer |
//! |---|---|
//! | `{"version":1,"ask":"status"}`, the word `status`, an empty line, or nothing | the state of every actor and edge |
//! | `{"version":1,"ask":{"find":{"wanted":{"number":{"source":"c_server","seq":4711}},"within_ms":5000}}}` | where that frame is |
//! | `{"version":1,"ask":{"find":{"wanted":{"id":"o-17"},"within_ms":5000}}}` | where the frames with that id are |
//!
//! What cannot be answered gets `{"error": "..."}`. A client that has sent no whole line after a second is answered as if it had sent nothing;
//! `printf status | socat - UNIX:NAME.sock` is a whole client. Sixteen clients are served at a time, the others wait; only one search runs at a time.

mod protocol;

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use crate::framework::pipeline::{Finder, PipelineStatus, View};
use crate::live::Screen;

pub(crate) use protocol::{Ask, WITHIN_MAX, ask};
use protocol::{REQUEST_BYTES_MAX, Refusal};

/// Clients served at a time.
const CLIENTS_MAX: usize = 16;

/// How long a client may take to send its request, and to take its answer.
const PATIENCE: Duration = Duration::from_secs(1);

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

/// The sockets meant by the options of a command: the one named, that of a pipeline, or all of this user's.
pub(crate) fn sockets(socket: Option<&Path>, pipeline: Option<&str>) -> Vec<PathBuf> {
    match (socket, pipeline) {
        (Some(socket), _) => vec![socket.to_owned()],
        (None, Some(name)) => vec![path(name)],
        (None, None) => {
            let entries = std::fs::read_dir(folder()).into_iter().flatten().flatten();
            let mut sockets: Vec<_> = entries.map(|entry| entry.path()).collect();
            sockets
                .retain(|path| path.extension().is_some_and(|extension| extension == "sock") && !is_left_behind(path));
            sockets.sort();
            sockets
        }
    }
}

/// A process that was killed leaves its socket behind, and nobody listens there.
fn is_left_behind(socket: &Path) -> bool {
    std::os::unix::net::UnixStream::connect(socket).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
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

    /// Answers until dropped. Each client has a task of its own, so that none waits for another.
    pub(crate) async fn serve(&self, clerk: Rc<Clerk>) {
        let places = Arc::new(Semaphore::new(CLIENTS_MAX));
        loop {
            // The semaphore is never closed.
            let place = places.clone().acquire_owned().await;
            let Ok((client, _)) = self.listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let clerk = clerk.clone();
            actix_rt::spawn(async move {
                clerk.serve(client).await;
                drop(place);
            });
        }
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Knows the answers.
pub(crate) struct Clerk {
    latest: Rc<RefCell<PipelineStatus>>,
    view: View,
    finder: Finder,
    screen: Screen,
    /// One search at a time.
    searching: Semaphore,
}

impl Clerk {
    /// One who answers for a pipeline; `latest` is its last sample, for what needs time between two looks.
    pub(crate) fn new(latest: Rc<RefCell<PipelineStatus>>, view: View, finder: Finder, screen: Screen) -> Self {
        Self {
            latest,
            view,
            finder,
            screen,
            searching: Semaphore::new(1),
        }
    }

    async fn serve(&self, client: UnixStream) {
        let (reader, mut writer) = client.into_split();
        let mut line = Vec::new();
        let mut reader = BufReader::new(reader).take(REQUEST_BYTES_MAX);
        let _ = tokio::time::timeout(PATIENCE, reader.read_until(b'\n', &mut line)).await;
        let answer = match protocol::parse(&line) {
            Ok(ask) => self.answer(ask).await,
            Err(error) => Err(error),
        };
        let answer = answer.unwrap_or_else(|error| serde_json::to_vec(&Refusal { error }).unwrap_or_default());
        // A client that does not read its answer asked for nothing we owe it.
        let _ = tokio::time::timeout(PATIENCE, async {
            writer.write_all(&answer).await?;
            writer.shutdown().await
        })
        .await;
    }

    async fn answer(&self, ask: Ask) -> Result<Vec<u8>, String> {
        let answer = match ask {
            Ask::Status => {
                let mut status = self.latest.borrow().renewed(&self.view);
                status.log_lines_dropped = self.screen.dropped();
                serde_json::to_vec(&status)
            }
            Ask::Find { wanted, within_ms } => {
                let Ok(_searching) = self.searching.try_acquire() else {
                    return Err("another search is under way; ask again when it is over".to_owned());
                };
                let within = Duration::from_millis(within_ms).min(WITHIN_MAX);
                serde_json::to_vec(&self.finder.find(wanted, within).await)
            }
        };
        answer.map_err(|error| format!("the answer cannot be written: {error}"))
    }
}

/// The folder, made with mode 0700; one that somebody else owns is refused.
pub(crate) fn private_folder(folder: &Path) -> io::Result<()> {
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
