//! Dialling out: the name is looked up anew each time, because addresses change while a peer is away.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::plugin::Context;
use tokio::net::{TcpSocket, TcpStream, lookup_host};

use super::{Buffers, advice};

/// Where to connect to, and how.
#[derive(Debug)]
pub(crate) struct Dial {
    pub(crate) address: String,
    pub(crate) timeout: Duration,
    pub(crate) buffers: Buffers,
}

impl Dial {
    /// Connects to the first of the name's addresses that answers. Nagle's algorithm is off. Cancel-safe.
    ///
    /// # Errors
    /// `unavailable`, with the system's error as its cause, when none answers within the timeout.
    pub(crate) async fn connect(&self, context: &Context) -> Result<TcpStream> {
        let connected = tokio::time::timeout(self.timeout, self.any(context)).await;
        let failure = match connected {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => error,
            Err(_) => io::Error::new(
                io::ErrorKind::TimedOut,
                format!("connect_timeout of {} passed", humantime::format_duration(self.timeout)),
            ),
        };
        let advice = advice(&failure);
        Err(Error::unavailable(format!("cannot connect to {}: {advice}", self.address)).because(failure))
    }

    async fn any(&self, context: &Context) -> io::Result<TcpStream> {
        let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in lookup_host(&self.address).await? {
            match self.one(address, context).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn one(&self, address: SocketAddr, context: &Context) -> io::Result<TcpStream> {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        self.buffers.apply(&socket, context)?;
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}
