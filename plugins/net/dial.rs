//! Dialling out: the name is looked up anew each time, because addresses change while a peer is away.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::failure::Failure;
use aqueduct_framework::plugin::Context;
use tokio::net::{TcpSocket, TcpStream, lookup_host};

use super::{Buffers, Flight, advice};

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
        let (error, failure) = match connected {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(failed)) => failed,
            Err(_) => {
                let limit = humantime::format_duration(self.timeout);
                let passed = format!("connect_timeout of {limit} passed");
                (io::Error::new(io::ErrorKind::TimedOut, passed), Failure::TimedOut)
            }
        };
        let advice = match failure {
            Failure::NameNotResolved => "its name cannot be looked up; correct it, or look at the name server",
            _ => advice(&error),
        };
        let what = format!("cannot connect to {}: {advice}", self.address);
        Err(Error::unavailable(what).because(error).failing(failure))
    }

    /// The same for a sink: the attempt is noted in its flight recorder and shown in its status.
    ///
    /// # Errors
    /// Those of [`Dial::connect`]; the actor says them in the log, once per outage.
    pub(crate) async fn connect_noted(&self, flight: &Flight, context: &Context) -> Result<TcpStream> {
        let (address, dialled) = (&self.address, self.connect(context).await);
        let stream = dialled.inspect_err(|error| drop(flight.failed(address, error)))?;
        flight.connected(address);
        context.say("state", format!("connected to {address}"));
        context.say("peer", address.clone());
        Ok(stream)
    }

    async fn any(&self, context: &Context) -> Result<TcpStream, (io::Error, Failure)> {
        let unnamed = |error| (error, Failure::NameNotResolved);
        let addresses = lookup_host(&self.address).await.map_err(unnamed)?;
        let mut failed = unnamed(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        for address in addresses {
            match self.one(address, context).await {
                Ok(stream) => return Ok(stream),
                Err(error) => {
                    let failure = Failure::of(&error);
                    failed = (error, failure);
                }
            }
        }
        Err(failed)
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
