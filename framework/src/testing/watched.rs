//! What an actor on its own thread tells a test that waits for it.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actix::prelude::*;
use tokio::sync::oneshot;

use crate::actors::{Outcome, panic_text};
use crate::error::{Error, Result};
use crate::telemetry::Meters;

/// Nothing in a test takes this long unless it hangs.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Meters change without a word; they are looked at this often.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// A value that one thread changes and another waits for.
#[derive(Default)]
pub(super) struct Watched<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T> Watched<T> {
    pub(super) fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn change(&self, act: impl FnOnce(&mut T)) {
        act(&mut self.lock());
        self.changed.notify_all();
    }

    /// Waits until `look` finds what it looks for.
    ///
    /// # Errors
    /// What was waited for, when it did not come in time.
    pub(super) fn wait<R>(&self, what: &str, mut look: impl FnMut(&mut T) -> Option<R>) -> Result<R, String> {
        let begun = Instant::now();
        let mut value = self.lock();
        loop {
            if let Some(found) = look(&mut value) {
                return Ok(found);
            }
            if begun.elapsed() >= PATIENCE {
                return Err(format!("waited {} s in vain until {what}", PATIENCE.as_secs()));
            }
            let waited = self.changed.wait_timeout(value, LOOK_EVERY);
            value = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// An actix system on a thread of its own. Dropping it ends the system; a plugin that blocks is not waited for.
pub(super) struct Stage {
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Stage {
    /// Starts the actors of a test on a thread of their own, and gives what `start` made of them.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(super) fn start<R: Send + 'static>(start: impl FnOnce() -> R + Send + 'static) -> Result<(Self, R)> {
        let (end, ended) = oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new().name("plugin-test".into()).spawn(move || {
            System::new().block_on(async move {
                // The test waits for it below, and whether it ends by a word or by being dropped is the same.
                let _ = tell.send(start());
                let _ = ended.await;
            });
        });
        let thread = thread.map_err(|error| Error::fatal("cannot start a thread for the test").because(error))?;
        let started = told.recv_timeout(PATIENCE);
        let started = started.map_err(|error| Error::fatal("the test's thread did not start").because(error))?;
        let stage = Self {
            end: Some(end),
            thread: Some(thread),
        };
        Ok((stage, started))
    }

    /// Ends the system and waits for its thread, so that all plugins are gone.
    ///
    /// # Errors
    /// When a plugin blocks the thread, or panics while it is dropped.
    pub(super) fn end(mut self) -> Result<(), String> {
        drop(self.end.take());
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        let begun = Instant::now();
        while !thread.is_finished() {
            if begun.elapsed() >= PATIENCE {
                return Err(format!("its thread has not ended {} s later", PATIENCE.as_secs()));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        thread
            .join()
            .map_err(|panic| format!("it panicked while it was dropped: {}", panic_text(&*panic)))
    }
}

/// Why it failed; none when it ended well.
pub(super) fn failure(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Finished => None,
        Outcome::Failed(why) => Some(why.clone()),
    }
}

/// The value of a counter or gauge; 0 while there is none of that name.
pub(super) fn number(meters: &Meters, name: &str) -> u64 {
    meters.snapshot().numbers.get(name).copied().unwrap_or(0)
}

/// What is said under this name; empty texts count as nothing.
pub(super) fn said(meters: &Meters, name: &str) -> Option<String> {
    meters
        .snapshot()
        .texts
        .get(name)
        .filter(|text| !text.is_empty())
        .cloned()
}

/// The result, or a panic in the name of the test that asked.
#[track_caller]
pub(super) fn must<T, E: Debug + ToString>(result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{}", error.to_string()),
    }
}

/// What `listening` says, as an address.
///
/// # Errors
/// When it is none.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("`listening` says {text:?}, which is no address"))
}
