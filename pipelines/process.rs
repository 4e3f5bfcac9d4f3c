//! What holds for the whole process, whichever command it runs.

use crate::say::say;
use aqueduct_framework::spill::thread::THREAD_PREFIX;

/// Lets a file size limit be an error like a full disk, and keeps contained panics out of the terminal.
pub(crate) fn prepare() {
    if let Err(error) = aqueduct_sys::process::ignore_sigxfsz() {
        // The log does not stand yet, and without this only a limit that few set would end the process.
        say!("aqueduct: cannot ignore SIGXFSZ, so a file size limit (ulimit -f) ends it: {error}");
    }
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current();
        match thread.name().filter(|name| name.starts_with(THREAD_PREFIX)) {
            // The storage engine panics on some kinds of damage: the store goes on and says what happened, or fails and says so.
            Some(name) => tracing::debug!(thread = name, "{panic}"),
            // Standard error may be a pipe that nobody reads, for which no thread of a pipeline waits.
            None if tracing::dispatcher::has_been_set() => {
                let backtrace = std::backtrace::Backtrace::capture();
                let backtrace = match backtrace.status() {
                    std::backtrace::BacktraceStatus::Captured => format!("\n{backtrace}"),
                    _ => String::new(),
                };
                tracing::error!(thread = thread.name().unwrap_or_default(), "{panic}{backtrace}");
            }
            None => before(panic),
        }
    }));
}
