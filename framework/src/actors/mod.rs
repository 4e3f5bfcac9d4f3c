//! The four actors, in the order a batch meets them: [`reader`], [`spill`], [`processor`], [`sender`].
//!
//! An actor translates between messages, sockets and the state machines that decide. Its handlers only note what
//! arrived; the work is done by one task in the actor's context, so that every actor reads as a loop from top to bottom.

pub mod processor;
pub mod reader;
pub mod sender;
pub mod spill;

use std::any::Any;
use std::sync::Arc;

use actix::prelude::*;

use crate::error::{Error, Result};

/// Orders from the supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub enum Order {
    /// Come to an end: sources stop reading, stores stop delivering, the others finish what they have.
    Drain,
    /// End now; what is in hand counts as dropped.
    Terminate,
}

/// Told to the supervisor when an actor has ended.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Ended {
    /// The actor's name.
    pub actor: Arc<str>,
    /// How.
    pub outcome: Outcome,
}

/// How an actor ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Everything that came was handled.
    Finished,
    /// It could not go on, for this reason.
    Failed(String),
}

/// A thread of its own for actors.
///
/// # Errors
/// When the system has no thread left, or no file for its event loop.
pub(crate) fn arbiter() -> Result<Arbiter> {
    Arbiter::try_new().map_err(|error| {
        let limits =
            "no thread or file is left for it; raise `ulimit -n`, `ulimit -u` or the container's limit of processes";
        Error::fatal(limits).because(error)
    })
}

/// What a caught panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("(a panic without a text)").to_owned()
}

/// Builds a plugin; a panic in its `new` is an error like any other.
pub(crate) fn build<T: ?Sized>(
    plan: &crate::plugin::Blueprint<T>,
    context: &crate::plugin::Context,
) -> crate::error::Result<Box<T>> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| plan.build(context))).unwrap_or_else(|panic| {
        let text = panic_text(&*panic);
        Err(crate::error::Error::fatal(format!(
            "the plugin panicked while it was built: {text}"
        )))
    })
}
