//! What the end-to-end tests are made of: the real program, the real C server, real sockets and files, and a way to wait for them.

mod c_server;
mod lines;
mod messages;
mod peers;
mod picture;
mod program;
mod reborn;
mod sequence;
mod terminal;

use std::time::{Duration, Instant};

pub(crate) use c_server::CServer;
pub(crate) use messages::Messages;
pub(crate) use peers::{Destination, Feeder, Listener, leave_and_come_back};
pub(crate) use program::{Folder, Program, Status};
pub(crate) use reborn::Reborn;
pub(crate) use sequence::Sequence;
pub(crate) use terminal::OnTerminal;

/// How long anything may take before a test fails. Far more than it takes, so that a busy machine fails no test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// Waits until `look` finds what the test waits for.
pub(crate) fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited for {PATIENCE:?} in vain: {what}");
        // Nothing waits by sleeping but this: a status must be asked for, it does not tell by itself when it changes. No result depends
        // on the length of the pause.
        std::thread::sleep(Duration::from_millis(20));
    }
}
