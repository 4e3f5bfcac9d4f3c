//! Socket buffers: left to the kernel unless a user sets them, and then what was granted is said.

use std::cell::Cell;
use std::io;
use std::os::fd::AsFd;

use aqueduct_framework::plugin::Context;
use aqueduct_framework::units::ByteSize;
use aqueduct_sys::socket;

/// The buffer sizes a user asked for. Unset ones keep the autotuning of tcp(7).
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    receive: Option<ByteSize>,
    send: Option<ByteSize>,
    said: Cell<bool>,
}

impl Buffers {
    pub(crate) fn new(receive: Option<ByteSize>, send: Option<ByteSize>) -> Self {
        Self {
            receive,
            send,
            said: Cell::new(false),
        }
    }

    /// Asks the kernel for them. To matter for the window scale this must come before `connect` or `listen`;
    /// accepted sockets inherit them from the listening one. What was granted is logged once and shown by `status`.
    ///
    /// # Errors
    /// Those of setsockopt(2).
    pub(crate) fn apply(&self, socket: impl AsFd, context: &Context) -> io::Result<()> {
        if let Some(asked) = self.receive {
            let granted = socket::set_receive_buffer(&socket, clamped(asked))?;
            self.say(context, "receive_buffer", asked, granted);
        }
        if let Some(asked) = self.send {
            let granted = socket::set_send_buffer(&socket, clamped(asked))?;
            self.say(context, "send_buffer", asked, granted);
        }
        self.said.set(true);
        Ok(())
    }

    fn say(&self, context: &Context, name: &str, asked: ByteSize, granted: usize) {
        let granted = ByteSize(granted as u64);
        let text = format!("asked for {asked}, the kernel granted {granted} (its bookkeeping included)");
        if !self.said.get() {
            tracing::info!(actor = %context.actor, "{name}: {text}");
        }
        context.say(name, text);
    }
}

/// The system call takes an int.
fn clamped(size: ByteSize) -> usize {
    size.bytes().min(i32::MAX as u64) as usize
}
