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

mod place;
mod protocol;

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use crate::framework::pipeline::{Finder, PipelineStatus, View};
use crate::live::Screen;

pub(crate) use place::{believe_file, folder, make_private, path, trusted};
pub(crate) use protocol::{Ask, WITHIN_MAX, ask};
use protocol::{REQUEST_BYTES_MAX, Refusal};

/// Clients served at a time.
const CLIENTS_MAX: usize = 16;

/// How long a client may take to send its request, and to take its answer.
const PATIENCE: Duration = Duration::from_secs(1);

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

/// Between two attempts to accept a client while no descriptor is left.
const PAUSE: Duration = Duration::from_millis(50);

/// An open admin socket; its file is removed when this is dropped.
pub(crate) struct Admin {
    path: PathBuf,
    listener: UnixListener,
    /// A descriptor that is given up for one client when there is no other, so that `status` is answered then, too.
    reserve: RefCell<Option<File>>,
}

/// Nobody answers there, so a socket was left behind by a process that was killed. Anything else is somebody's.
fn remove_left_behind(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path),
        Ok(_) => {
            let text = "something that is no socket stands there, and is left alone";
            Err(io::Error::new(io::ErrorKind::AlreadyExists, text))
        }
    }
}

fn reserve() -> Option<File> {
    File::open("/dev/null").ok()
}

impl Admin {
    /// Opens the socket. Must be called in the system's runtime.
    ///
    /// # Errors
    /// `AddrInUse` when a process of this user answers there. Anything else is no reason not to run.
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        if let Some(parent) = path.parent() {
            make_private(parent)?;
        }
        if let Ok(stream) = std::os::unix::net::UnixStream::connect(&path) {
            let pid = place::believe_peer(&stream)?;
            let text = format!(
                "{}: process {pid} listens there: a pipeline of this name is running already",
                path.display()
            );
            return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
        }
        remove_left_behind(&path)?;
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        let reserve = reserve();
        Ok(Self {
            path,
            listener,
            reserve: RefCell::new(reserve),
        })
    }

    /// Answers until dropped. Each client has a task of its own, so that none waits for another.
    pub(crate) async fn serve(&self, clerk: Rc<Clerk>) {
        let places = Arc::new(Semaphore::new(CLIENTS_MAX));
        loop {
            // The semaphore is never closed.
            let place = places.clone().acquire_owned().await;
            let Ok((client, _)) = self.listener.accept().await else {
                // Most likely there are no descriptors left: the client gets the one in reserve.
                self.reserve.take();
                match tokio::time::timeout(PATIENCE, self.listener.accept()).await {
                    Ok(Ok((client, _))) => clerk.serve(client).await,
                    // Somebody else had it first. The client waits for the next that is free.
                    Ok(Err(_)) => tokio::time::sleep(PAUSE).await,
                    Err(_) => {}
                }
                self.reserve.replace(reserve());
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
