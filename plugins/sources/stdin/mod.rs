//! The source `stdin`: the standard input, cut by the framing, until its end.

#[cfg(test)]
pub(super) mod tests;

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::pin::pin;

use aqueduct_framework::batch::Attributes;
use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::plugin::{Context, Feed, Filled, Intake, Placement, Source};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Reads standard input until its end.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {}

/// The plugin.
pub(super) struct Stdin;

impl Source for Stdin {
    type Config = Config;
    const NAME: &'static str = "stdin";
    const SAMPLE: &'static str = include_str!("sample.toml");
    // A read of a slow disk or a frozen terminal may block the thread.
    const PLACEMENT: Placement = Placement::Own;

    fn new(_: Config, _: &Context) -> Result<Self> {
        Ok(Self)
    }

    async fn run(&mut self, feed: &Feed) -> Result<()> {
        let input = io::stdin().as_fd().try_clone_to_owned();
        let input = input.map_err(|error| Error::fatal("there is no standard input; redirect one").because(error))?;
        read(File::from(input), feed).await
    }
}

/// Reads `input` to its end, or until the feed stops.
async fn read(input: File, feed: &Feed) -> Result<()> {
    let mut intake = feed.stream(Attributes::default())?;
    let input = Input::new(input);
    let mut stopping = pin!(feed.stopping());
    loop {
        tokio::select! {
            biased;
            () = &mut stopping => return Ok(()),
            ready = async { intake.ready().await; input.readable().await } => {
                ready.map_err(|error| Error::fatal("cannot wait for the standard input").because(error))?;
            }
        }
        match fill(&mut intake, &input) {
            Filled::Read { .. } => tokio::task::yield_now().await,
            Filled::End => {
                intake.finish();
                return Ok(());
            }
            Filled::Failed(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Filled::Failed(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Filled::Failed(error) => return Err(Error::fatal("cannot read the standard input").because(error)),
            Filled::Refused(error) => return Err(Error::fatal(format!("the standard input: {error}"))),
        }
    }
}

fn fill(intake: &mut Intake, input: &Input) -> Filled {
    intake.fill(|buffer| input.read(buffer))
}

/// Something to read. Its `O_NONBLOCK` stays as it is, because other processes share the open file.
enum Input {
    /// A pipe, a socket, a terminal.
    Waits(AsyncFd<File>),
    /// A regular file, which is always readable and which epoll(7) does not take.
    Ready(File),
}

impl Input {
    #[expect(
        deprecated,
        reason = "its successor is `unsafe` for types that may swap their descriptor, which a `File` that is only read does not"
    )]
    fn new(file: File) -> Self {
        match AsyncFd::try_with_interest(file, Interest::READABLE) {
            Ok(waits) => Self::Waits(waits),
            Err(error) => Self::Ready(error.into_parts().0),
        }
    }

    /// Cancel-safe.
    async fn readable(&self) -> io::Result<()> {
        let Self::Waits(file) = self else { return Ok(()) };
        loop {
            let mut ready = file.readable().await?;
            if has_input(file.get_ref())? {
                return Ok(());
            }
            ready.clear_ready();
        }
    }

    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Waits(file) => file.get_ref().read(buffer),
            Self::Ready(file) => (&*file).read(buffer),
        }
    }
}

/// Asked before every read, because the read itself would block.
fn has_input(file: &File) -> io::Result<bool> {
    let mut polled = [PollFd::new(file, PollFlags::IN)];
    Ok(poll(&mut polled, Some(&Timespec::default()))? > 0)
}
