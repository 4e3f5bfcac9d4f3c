//! The legacy server: how it is built, started, and what it tells.

mod compiled;
mod threaded;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use serde::Deserialize;

pub(super) use compiled::Process;

/// What a server tells, as `legacy_server.c` prints it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(super) enum Event {
    /// A client came.
    Accepted {},
    /// A connection was closed.
    Closed(Closed),
    /// Nothing more will come.
    Done(Done),
}

/// How a connection was closed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Closed {
    /// `EAGAIN` when the server did it because it could not send.
    pub(super) reason: String,
    /// Bytes the kernel took.
    pub(super) sent_bytes: u64,
    /// How long the connection lasted.
    pub(super) seconds: f64,
    /// Bytes that the reader's kernel had not confirmed.
    pub(super) unacknowledged_bytes: u64,
    /// Replies nobody read; with any the close is an RST.
    pub(super) unread_reply_bytes: u64,
}

/// The whole run in figures.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(super) struct Done {
    /// Connections closed because of EAGAIN.
    pub(super) closed_on_eagain: u64,
    /// Messages the kernel took whole.
    pub(super) sent_messages: u64,
    /// Messages that were cut.
    pub(super) lost_messages: u64,
}

/// What is asked of a server; everything else is its default.
#[derive(Debug, Clone, Copy)]
pub(super) struct Orders {
    /// Bytes per second.
    pub(super) rate: f64,
    /// It ends this long after the first client came.
    pub(super) time: Duration,
    /// Serve one client and end; otherwise go on with the next.
    pub(super) one_client: bool,
}

/// A server ready to be started.
pub(super) enum Legacy {
    /// The C program, and its process while one runs.
    Compiled(PathBuf, Process),
    /// The same in Rust, and why.
    Threaded(String),
}

impl Legacy {
    /// Compiles the C program in `folder`, or falls back to Rust where that is not possible.
    pub(super) fn prepare(folder: &Path) -> Result<Self, String> {
        let source = folder.join("legacy_server.c");
        std::fs::write(&source, compiled::SOURCE).map_err(|error| format!("{}: {error}", source.display()))?;
        Ok(match compiled::compile(&source) {
            Ok(program) => Self::Compiled(program, Process::default()),
            Err(why) => Self::Threaded(why),
        })
    }

    /// What must be ended when the demo is interrupted.
    pub(super) fn process(&self) -> Process {
        match self {
            Self::Compiled(_, process) => process.clone(),
            Self::Threaded(_) => Process::default(),
        }
    }

    /// For the audience.
    pub(super) fn description(&self) -> String {
        match self {
            Self::Compiled(..) => {
                "The server is examples/c_server/legacy_server.c, compiled with cc just now.".to_owned()
            }
            Self::Threaded(why) => format!(
                "The server is C, but {why}.\nThe same behaviour in Rust plays its part: non-blocking send, EAGAIN => close."
            ),
        }
    }

    /// Starts it on a free port of 127.0.0.1.
    pub(super) fn start(&self, orders: Orders) -> Result<Server, String> {
        match self {
            Self::Compiled(program, process) => compiled::start(program, process, orders),
            Self::Threaded(_) => threaded::start(orders),
        }
    }
}

/// A running server; it ends when this is dropped.
pub(super) struct Server {
    /// Where it listens.
    pub(super) port: u16,
    /// The first connection that was closed.
    pub(super) closed: Option<Closed>,
    /// When the news of it came.
    pub(super) closed_at: Option<Instant>,
    /// The whole run, once it is over.
    pub(super) done: Option<Done>,
    events: Receiver<Event>,
    // Dropped last: stops the process or the thread.
    _stop: Box<dyn Send>,
}

impl Server {
    fn new(port: u16, events: Receiver<Event>, stop: impl Send + 'static) -> Self {
        Self {
            port,
            closed: None,
            closed_at: None,
            done: None,
            events,
            _stop: Box::new(stop),
        }
    }

    /// Notes what it has told since the last call, without waiting.
    pub(super) fn listen(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            self.note(event);
        }
    }

    /// Waits until its run is over.
    ///
    /// # Errors
    /// When that takes longer than `patience`, or it ended without a word.
    pub(super) fn finish(&mut self, patience: Duration) -> Result<Done, String> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(done) = &self.done {
                return Ok(done.clone());
            }
            match self
                .events
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(event) => self.note(event),
                Err(RecvTimeoutError::Timeout) => return Err(format!("the server did not end within {patience:?}")),
                Err(RecvTimeoutError::Disconnected) => return Err("the server ended without its last word".to_owned()),
            }
        }
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Accepted {} => {}
            Event::Closed(closed) => {
                self.closed_at.get_or_insert_with(Instant::now);
                self.closed.get_or_insert(closed);
            }
            Event::Done(done) => self.done = Some(done),
        }
    }
}

#[cfg(test)]
mod tests;
