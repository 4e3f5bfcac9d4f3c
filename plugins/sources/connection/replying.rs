//! How one connection replies, and how it ends while replies are still owed.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use aqueduct_framework::flight::Blame;
use aqueduct_framework::plugin::{Awaits, Context, Feed};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::End;
use super::reply::{Answers, Brought, Halt, Plan, Replies};
use crate::net::take_leave;

/// A connection that we end ourselves waits so long for what becomes of frames that have no reply yet.
const FAREWELL: Duration = Duration::from_secs(1);

pub(super) enum Replying {
    Not,
    /// When something is read.
    AtOnce(Box<Replies>),
    /// When it is known what became of it.
    Later(Rc<Answers>),
}

impl Replying {
    pub(super) fn new(plan: Option<&Rc<Plan>>, context: &Context) -> Self {
        match plan {
            None => Self::Not,
            Some(plan) if plan.awaits() == Awaits::Nothing => {
                Self::AtOnce(Box::new(Replies::new(plan.clone(), context)))
            }
            Some(plan) => Self::Later(Rc::new(Answers::new(plan, context))),
        }
    }

    /// The replies that wait.
    pub(super) fn later(&self) -> Option<Rc<Answers>> {
        match self {
            Self::Later(answers) => Some(answers.clone()),
            Self::Not | Self::AtOnce(_) => None,
        }
    }

    /// True while more may be read.
    pub(super) fn may_read(&self) -> bool {
        match self {
            Self::Later(answers) => answers.may_read(),
            Self::Not | Self::AtOnce(_) => true,
        }
    }

    /// Answers a read, now or later; returns how many bytes are written now. `whole`: no frame of it was thrown away.
    pub(super) fn answer(&mut self, brought: Brought, whole: bool, stream: &TcpStream) -> u64 {
        let mut written = 0;
        match self {
            Self::Not => {}
            Self::AtOnce(replies) => replies.answer(brought, |reply| {
                stream.try_write(reply).inspect(|bytes| written += *bytes as u64)
            }),
            Self::Later(answers) if whole => answers.reply(brought),
            Self::Later(answers) => answers.cut(),
        }
        written
    }

    /// A read was refused, with all that came in it.
    pub(super) fn refuse(&mut self) {
        if let Self::Later(answers) = self {
            answers.cut();
        }
    }

    /// Bytes that were written beside the reading since the last call.
    pub(super) fn take_written(&self) -> u64 {
        self.later().map_or(0, |answers| answers.take_written())
    }

    /// Since when the peer is silent, which nothing has come from since `since`.
    pub(super) fn quiet_since(&self, since: Instant) -> Instant {
        match self {
            Self::Later(answers) => answers.answered_at().unwrap_or_else(Instant::now).max(since),
            Self::Not | Self::AtOnce(_) => since,
        }
    }

    /// Why nothing is read, where that is for the replies.
    pub(super) fn blame(&self, context: &Context) -> Option<Blame> {
        self.later().filter(|answers| !answers.may_read()).map(|answers| Blame {
            actor: context.actor.to_string(),
            is_work: false,
            store: None,
            clause: format!("{} frames wait for their reply (window_frames)", answers.frames()),
        })
    }

    /// The error that a reply ran into, once.
    pub(super) fn failure(&mut self) -> Option<io::Error> {
        match self {
            Self::AtOnce(replies) => replies.failure(),
            Self::Not | Self::Later(_) => None,
        }
    }
}

/// Writes the replies that wait, while the connection is read; resolves when it has to end.
pub(super) async fn write(answers: Option<&Answers>, stream: &TcpStream) -> End {
    match answers {
        // Boxed, here and below: a connection that owes nothing must not hold room for it, and there may be thousands.
        Some(answers) => Box::pin(answers.write(stream)).await.into(),
        None => std::future::pending().await,
    }
}

/// What is still owed when reading has ended. A client that has only finished sending waits for it as long as before. Where we end the connection, or would
/// dial again, it is waited for a moment.
pub(super) async fn see_off(
    answers: Option<&Answers>,
    stream: &TcpStream,
    feed: &Feed,
    dialled: bool,
    end: End,
) -> End {
    let Some(answers) = answers.filter(|answers| answers.answered_at().is_none()) else {
        return end;
    };
    let end = Box::pin(owed(answers, stream, feed, dialled, end)).await;
    if matches!(end, End::Lost(_)) {
        // The replies to what came before are read first. Who does not finish in time is closed on all the same.
        let _ = Box::pin(timeout(FAREWELL, take_leave(stream))).await;
    }
    end
}

async fn owed(answers: &Answers, stream: &TcpStream, feed: &Feed, dialled: bool, end: End) -> End {
    let owed = async { answers.write_all(stream).await.map_or_else(End::from, |()| End::Closed) };
    let ours = match end {
        End::Closed if !dialled => {
            tokio::select! {
                biased;
                () = feed.stopping() => End::Stopping,
                end = owed => return end,
                _ = stream.ready(Interest::ERROR) => {
                    let error = stream.take_error().ok().flatten();
                    return End::Failed(error.unwrap_or_else(|| io::ErrorKind::ConnectionReset.into()));
                }
            }
        }
        End::Closed | End::Refused(_) | End::Stopping => end,
        End::Failed(_) | End::Idle(_) | End::Lost(_) => return end,
    };
    match timeout(FAREWELL, answers.write_all(stream)).await {
        Ok(Err(Halt::Failed(error))) => End::Failed(error),
        Ok(Err(Halt::Lost(loss))) if matches!(ours, End::Closed) => End::Lost(loss),
        Ok(Err(Halt::Lost(_)) | Ok(())) | Err(_) => ours,
    }
}

impl From<Halt> for End {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Failed(error) => Self::Failed(error),
            Halt::Lost(loss) => Self::Lost(loss),
        }
    }
}
