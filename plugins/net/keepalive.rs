//! Keepalive: the only way to learn that a peer vanished from whom nothing is expected.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use aqueduct_framework::units::Period;
use aqueduct_sys::socket;

/// Questions without an answer after which the peer counts as gone.
const PROBES: u32 = 3;

/// After how long a silence the peer's kernel is asked whether it is still there. Zero: never.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keepalive(Duration);

impl Keepalive {
    pub(crate) fn new(after: Period) -> Self {
        Self(after.duration())
    }

    /// The default of every `keepalive`.
    pub(crate) const fn default_period() -> Period {
        Period::seconds(30)
    }

    /// Asks for it on one connection: the questions are a third of the silence apart.
    ///
    /// # Errors
    /// Those of setsockopt(2).
    pub(crate) fn apply(self, stream: impl AsFd) -> io::Result<()> {
        if self.0.is_zero() {
            return Ok(());
        }
        socket::set_keepalive(stream, self.0, self.0 / PROBES, PROBES)
    }

    /// Asks after a second of silence instead, which brings the peer's window anew, or again as before; never where nothing is to be asked.
    ///
    /// # Errors
    /// Those of setsockopt(2).
    pub(crate) fn ask_soon(self, stream: impl AsFd, soon: bool) -> io::Result<()> {
        if self.0.is_zero() || !soon {
            return self.apply(stream);
        }
        socket::set_keepalive(stream, Duration::from_secs(1), self.0 / PROBES, PROBES)
    }
}
