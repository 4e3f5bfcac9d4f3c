//! Listening.

use std::io;
use std::time::Duration;

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::plugin::Context;
use tokio::net::{TcpListener, TcpSocket, lookup_host};

use super::{Buffers, advice};

/// Connections that may wait to be accepted; the kernel clamps it to `net.core.somaxconn`.
const BACKLOG: u32 = 1024;

/// Where to listen, and how.
#[derive(Debug)]
pub(crate) struct Listen {
    pub(crate) address: String,
    pub(crate) buffers: Buffers,
}

impl Listen {
    /// Listens, and says where: with port 0 the kernel chooses.
    ///
    /// # Errors
    /// `fatal` when the address cannot be listened on: waiting does not help, and a peer must not wait unknowingly.
    pub(crate) async fn bind(&self, context: &Context) -> Result<TcpListener> {
        let failed = |error: io::Error| {
            let advice = advice(&error);
            Error::fatal(format!("cannot listen on {}: {advice}", self.address)).because(error)
        };
        let listener = self.try_bind(context).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        tracing::info!(actor = %context.actor, "listening on {address}");
        context.say("listening", address.to_string());
        Ok(listener)
    }

    async fn try_bind(&self, context: &Context) -> io::Result<TcpListener> {
        let none = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        let address = lookup_host(&self.address).await?.next().ok_or_else(none)?;
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        // Or a restart would have to wait for the old connections' TIME_WAIT.
        socket.set_reuseaddr(true)?;
        self.buffers.apply(&socket, context)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    }
}

/// How long to wait after accept(2) failed: errors of one connection pass, too many open files need time to go away.
pub(crate) fn pause_after(error: &io::Error) -> Duration {
    match error.kind() {
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted => {
            Duration::ZERO
        }
        _ => Duration::from_millis(100),
    }
}
