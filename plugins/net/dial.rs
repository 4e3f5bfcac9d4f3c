//! Dialling out: the name is looked up anew each time, because addresses change while a peer is away.

use std::future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use aqueduct_framework::error::{Error, Result};
use aqueduct_framework::failure::Failure;
use aqueduct_framework::plugin::Context;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use super::failure::is_out_of_files;
use super::lookup::Lookup;
use super::{Buffers, Flight, advice};

/// How long the first address has before the next is tried beside it (RFC 8305, section 5).
const STAGGER: Duration = Duration::from_millis(250);

/// Where to connect to, and how.
#[derive(Debug)]
pub(crate) struct Dial {
    pub(crate) address: String,
    pub(crate) timeout: Duration,
    buffers: Buffers,
    bind: Option<IpAddr>,
    lookup: Lookup,
}

impl Dial {
    pub(crate) fn new(address: String, timeout: Duration, buffers: Buffers) -> Self {
        Self {
            address,
            timeout,
            buffers,
            bind: None,
            lookup: Lookup::default(),
        }
    }

    /// From this address of ours, where it is given; peers of the other family are then out of reach.
    pub(crate) fn from(mut self, bind: Option<IpAddr>) -> Self {
        self.bind = bind;
        self
    }

    /// Connects to whichever of the name's addresses answers first, as RFC 8305 says. Nagle's algorithm is off. Cancel-safe.
    ///
    /// # Errors
    /// `unavailable`, with the system's error as its cause, when none answers within the timeout.
    pub(crate) async fn connect(&self, context: &Context) -> Result<TcpStream> {
        let connected = timeout(self.timeout, self.any(context)).await;
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

    /// Tries one address after the other: the next when the one before has failed, or has not answered for a while, and then beside it.
    async fn any(&self, context: &Context) -> Result<TcpStream, (io::Error, Failure)> {
        let addresses = interleaved(self.addresses().await?);
        // However many there are, the last of them has its share of the time.
        let stagger = STAGGER.min(self.timeout / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1));
        let (mut waiting, mut attempts) = (addresses.into_iter(), FuturesUnordered::new());
        loop {
            let next = waiting.next();
            if let Some(address) = next {
                attempts.push(self.one(address, context));
            }
            let time = async {
                match waiting.len() {
                    0 => future::pending().await,
                    _ => sleep(stagger).await,
                }
            };
            tokio::select! {
                biased;
                Some(tried) = attempts.next() => match tried {
                    Ok(stream) => return Ok(stream),
                    Err(error) if attempts.is_empty() && waiting.len() == 0 => {
                        let failure = Failure::of(&error);
                        return Err((error, failure));
                    }
                    Err(_) => {}
                },
                () = time => {}
            }
        }
    }

    async fn addresses(&self) -> Result<Vec<SocketAddr>, (io::Error, Failure)> {
        let unnamed = |error| (error, Failure::NameNotResolved);
        let looked_up = self.lookup.addresses(&self.address).await;
        let mut found = looked_up.map_err(|error| match TcpSocket::new_v4() {
            // The resolver needs a socket of its own, and says only that it failed.
            Err(limit) if is_out_of_files(&limit) => (limit, Failure::Other),
            _ => unnamed(error),
        })?;
        if let Some(bind) = self.bind {
            found.retain(|address| address.is_ipv4() == bind.is_ipv4());
        }
        if found.is_empty() {
            let none = "it has no address of the family of `bind`";
            return Err((io::Error::new(io::ErrorKind::AddrNotAvailable, none), Failure::Other));
        }
        Ok(found)
    }

    async fn one(&self, address: SocketAddr, context: &Context) -> io::Result<TcpStream> {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        self.buffers.apply(&socket, context)?;
        if let Some(bind) = self.bind {
            socket.bind(SocketAddr::new(bind, 0))?;
        }
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// The families in turn, beginning with that of the first, each in its order (RFC 8305, section 4): a family that does not work costs one wait.
fn interleaved(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first().map(SocketAddr::is_ipv4) else {
        return addresses;
    };
    let (these, those): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| address.is_ipv4() == first);
    let (mut these, mut those) = (these.into_iter(), those.into_iter());
    let mut all = Vec::new();
    loop {
        let pair = [these.next(), those.next()];
        if pair == [None, None] {
            return all;
        }
        all.extend(pair.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener};
    use std::time::Duration;

    use aqueduct_framework::plugin::Context;

    use super::{Buffers, Dial, interleaved};

    fn parsed(addresses: &[&str]) -> Vec<SocketAddr> {
        addresses.iter().map(|address| address.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_in_their_own_order() {
        let found = parsed(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"]);
        let turns = parsed(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]);
        assert_eq!(interleaved(found), turns);
        assert_eq!(interleaved(Vec::new()), []);
    }

    /// `localhost` is looked up; where it has ::1 too, nobody listens there.
    #[tokio::test]
    async fn a_name_is_looked_up_and_its_address_that_answers_is_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let context = Context::new("p", "a", "");
        let buffers = Buffers::new(None, None);
        let dial = Dial::new(format!("localhost:{port}"), Duration::from_secs(20), buffers);
        let stream = dial.connect(&context).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
    }

    #[tokio::test]
    async fn it_dials_from_the_address_it_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let context = Context::new("p", "a", "");
        let address = listener.local_addr().unwrap().to_string();
        let dial = Dial::new(address, Duration::from_secs(20), Buffers::new(None, None));
        let dial = dial.from(Some("127.0.0.2".parse().unwrap()));
        let _stream = dial.connect(&context).await.unwrap();
        assert_eq!(listener.accept().unwrap().1.ip().to_string(), "127.0.0.2");
    }
}
