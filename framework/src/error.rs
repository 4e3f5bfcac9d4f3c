//! The one error a plugin returns: what happened, and what the actor that hosts the plugin does about it.

use std::fmt;

use crate::failure::Failure;

/// What the hosting actor does about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// Back off, then go on at the frame that failed. Nothing is lost.
    Retry,
    /// Set this one frame aside as a dead letter and go on with the next.
    Reject,
    /// Stop the plugin; the supervisor builds it anew or fails the pipeline.
    Stop,
}

/// An error of a plugin. It concerns the frame in hand; frames before it stand.
#[derive(Debug)]
pub struct Error {
    reaction: Reaction,
    what: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    failure: Option<Failure>,
    ending: Ending,
}

/// How a connection came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Failed,
    Departed,
    Renewed,
}

/// The result of everything a plugin does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The other side cannot take or give anything now: the actor backs off and resumes at this frame.
    pub fn unavailable(what: impl Into<String>) -> Self {
        Self::new(Reaction::Retry, what)
    }

    /// This frame can never succeed: it becomes a dead letter, the next one follows.
    pub fn rejected(what: impl Into<String>) -> Self {
        Self::new(Reaction::Reject, what)
    }

    /// The plugin cannot go on: the supervisor decides.
    pub fn fatal(what: impl Into<String>) -> Self {
        Self::new(Reaction::Stop, what)
    }

    fn new(reaction: Reaction, what: impl Into<String>) -> Self {
        Self {
            reaction,
            what: what.into(),
            source: None,
            failure: None,
            ending: Ending::Failed,
        }
    }

    /// Adds the cause, which is printed behind the text.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says why it must be tried again, where the cause does not tell.
    #[must_use]
    pub fn failing(mut self, failure: Failure) -> Self {
        self.failure = Some(failure);
        self
    }

    /// Says that the other side left, which comes again by itself: no attempt failed, and nothing is gained by a wait. For sinks that listen.
    #[must_use]
    pub fn departed(mut self) -> Self {
        self.ending = Ending::Departed;
        self
    }

    /// Whether the other side left, which comes again by itself.
    pub fn is_departure(&self) -> bool {
        self.ending == Ending::Departed
    }

    /// Says that the sink itself ended its connection in order, to open another: nothing has failed. Opened again at once, and not counted as a failure.
    #[must_use]
    pub fn renewed(mut self) -> Self {
        self.ending = Ending::Renewed;
        self
    }

    /// Whether the sink itself ended its connection, to open another.
    pub fn is_renewal(&self) -> bool {
        self.ending == Ending::Renewed
    }

    /// Why it must be tried again: as it was said, or else what the operating system's error means.
    pub fn failure(&self) -> Failure {
        let told = || self.io().map_or(Failure::Other, Failure::of);
        self.failure.unwrap_or_else(told)
    }

    /// What the actor does about it.
    pub fn reaction(&self) -> Reaction {
        self.reaction
    }

    /// The operating system's error behind this one, if that is what caused it.
    pub fn io(&self) -> Option<&std::io::Error> {
        self.source.as_deref().and_then(|source| source.downcast_ref())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(source) => write!(f, "{}: {source}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
