//! Listening.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::plugin::Context;
use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpSocket};

use super::lookup::Lookup;
use super::{Buffers, Listener, advice};

/// Connections that may wait to be accepted; the kernel clamps it to `net.core.somaxconn`.
const BACKLOG: u32 = 1024;

/// Where to listen, and how.
#[derive(Debug)]
pub(crate) struct Listen {
    pub(crate) address: String,
    pub(crate) buffers: Buffers,
}

impl Listen {
    /// Listens on every address that the config's stands for, and says where: with port 0 the kernel chooses, the same for all.
    ///
    /// # Errors
    /// `fatal` when the address cannot be listened on: waiting does not help, and a peer must not wait unknowingly.
    pub(crate) async fn bind(&self, context: &Context) -> Result<Listener> {
        let failed = |error: io::Error| {
            let advice = advice(&error);
            Error::fatal(format!("cannot listen on {}: {advice}", self.address)).because(error)
        };
        let sockets = self.sockets(context).await.map_err(failed)?;
        let listener = Listener::new(sockets, context);
        let address = listener.address();
        tracing::info!(actor = %context.actor, "listening on {address}");
        context.say("listening", address);
        Ok(listener)
    }

    /// One for each address that this machine has.
    async fn sockets(&self, context: &Context) -> io::Result<Vec<TcpListener>> {
        let (mut sockets, mut missing) = (Vec::<TcpListener>::new(), None);
        for mut address in addresses(&self.address).await? {
            if let (0, Some(first)) = (address.port(), sockets.first()) {
                address.set_port(first.local_addr()?.port());
            }
            match self.socket(address, context) {
                Ok(socket) => sockets.push(socket),
                Err(error) if is_missing(&error) => missing = Some(error),
                Err(error) => return Err(error),
            }
        }
        match missing {
            Some(error) if sockets.is_empty() => Err(error),
            _ => Ok(sockets),
        }
    }

    fn socket(&self, address: SocketAddr, context: &Context) -> io::Result<TcpListener> {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        if address.ip() == Ipv6Addr::UNSPECIFIED {
            // All addresses of both families, whatever `net.ipv6.bindv6only` says.
            sockopt::set_ipv6_v6only(&socket, false)?;
        }
        // Or a restart would have to wait for the old connections' TIME_WAIT.
        socket.set_reuseaddr(true)?;
        self.buffers.apply(&socket, context)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    }
}

/// The addresses that one in a config stands for. `localhost` and `*` need no name server: they are both families wherever the machine has both.
async fn addresses(address: &str) -> io::Result<Vec<SocketAddr>> {
    let both = |v4: Ipv4Addr, v6: Ipv6Addr, port: &str| {
        let port = port.parse::<u16>().map_err(io::Error::other)?;
        Ok(vec![SocketAddr::from((v4, port)), SocketAddr::from((v6, port))])
    };
    match address.rsplit_once(':') {
        Some(("*", port)) => {
            let [any_v4, any_v6] = both(Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED, port)?[..] else {
                return Ok(Vec::new());
            };
            // One socket serves both families, where there is IPv6.
            Ok(vec![TcpSocket::new_v6().map_or(any_v4, |_| any_v6)])
        }
        Some((host, port)) if host.eq_ignore_ascii_case("localhost") => {
            both(Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST, port)
        }
        _ => {
            let mut found: Vec<_> = Lookup::default().addresses(address).await?;
            found.sort_by_key(SocketAddr::is_ipv6);
            found.dedup();
            if found.is_empty() {
                return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
            }
            Ok(found)
        }
    }
}

/// This machine does not have the address, or not its family.
fn is_missing(error: &io::Error) -> bool {
    let family = rustix::io::Errno::AFNOSUPPORT.raw_os_error();
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(family)
}
