//! Reading an open file, pipe, socket or terminal to its end: what `stdin` and `file` share.

use std::fs::File;
use std::io::{self, Read};
use std::pin::pin;

use aqueduct_framework::batch::Attributes;
use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::plugin::{Feed, Filled};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Cuts `input` by the source's framing until its end, or until the feed stops. `what` names it in errors: `the standard input`.
///
/// # Errors
/// `fatal`, when it cannot be read, or the framing cannot follow it.
pub(super) async fn read(mut input: Input, what: &str, feed: &Feed) -> Result<()> {
    let mut intake = feed.stream(Attributes::default())?;
    let mut stopping = pin!(feed.stopping());
    loop {
        tokio::select! {
            biased;
            () = &mut stopping => return Ok(()),
            ready = async { intake.ready().await; input.readable().await } => {
                ready.map_err(|error| Error::fatal(format!("cannot wait for {what}")).because(error))?;
            }
        }
        match intake.fill(|buffer| input.read(buffer)) {
            Filled::Read { .. } => tokio::task::yield_now().await,
            Filled::End => {
                intake.finish();
                return Ok(());
            }
            Filled::Failed(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Filled::Failed(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Filled::Failed(error) => return Err(Error::fatal(format!("cannot read {what}")).because(error)),
            Filled::Refused(error) => return Err(Error::fatal(format!("{what}: {error}"))),
        }
    }
}

/// Something to read. Its `O_NONBLOCK` stays as it is, because other processes share the open file.
pub(super) struct Input {
    kind: Kind,
    /// Bytes that are still to be read, at most.
    left: u64,
}

enum Kind {
    /// A pipe, a socket, a terminal.
    Waits(AsyncFd<File>),
    /// A regular file, which is always readable and which epoll(7) does not take.
    Ready(File),
}

impl Input {
    /// All of it.
    pub(super) fn new(file: File) -> Self {
        Self::first(file, u64::MAX)
    }

    /// Its first `bytes`.
    #[expect(
        deprecated,
        reason = "its successor is `unsafe` for types that may swap their descriptor, which a `File` that is only read does not"
    )]
    pub(super) fn first(file: File, bytes: u64) -> Self {
        let kind = match AsyncFd::try_with_interest(file, Interest::READABLE) {
            Ok(waits) => Kind::Waits(waits),
            Err(error) => Kind::Ready(error.into_parts().0),
        };
        Self { kind, left: bytes }
    }

    /// Cancel-safe.
    async fn readable(&self) -> io::Result<()> {
        let Kind::Waits(file) = &self.kind else { return Ok(()) };
        loop {
            let mut ready = file.readable().await?;
            if has_input(file.get_ref())? {
                return Ok(());
            }
            ready.clear_ready();
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut file = match &self.kind {
            Kind::Waits(file) => file.get_ref(),
            Kind::Ready(file) => file,
        };
        let room = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let read = file.read(&mut buffer[..room])?;
        self.left -= read as u64;
        Ok(read)
    }
}

/// Asked before every read, because the read itself would block.
fn has_input(file: &File) -> io::Result<bool> {
    let mut polled = [PollFd::new(file, PollFlags::IN)];
    Ok(poll(&mut polled, Some(&Timespec::default()))? > 0)
}
