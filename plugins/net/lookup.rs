//! Looking names up. getaddrinfo(3) blocks for as long as its name servers are silent, so that it has a thread of its own: the data thread, the
//! shutdown and the runtime's own threads never wait for it.

use std::cell::RefCell;
use std::future::{Future as _, poll_fn};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::task::Poll;

use tokio::sync::oneshot;

/// Looks one name up, at most once at a time.
#[derive(Debug, Default)]
pub(crate) struct Lookup {
    /// The answer that is waited for; it stays when the wait is given up, so that a mute name server costs one thread and not one at every attempt.
    pending: RefCell<Option<oneshot::Receiver<io::Result<Vec<SocketAddr>>>>>,
}

impl Lookup {
    /// The addresses that `address`, as host:port, stands for now; never none. Numbers are not looked up. Cancel-safe.
    ///
    /// # Errors
    /// Those of getaddrinfo(3), and of the system when it has no thread or file left for that.
    pub(crate) async fn addresses(&self, address: &str) -> io::Result<Vec<SocketAddr>> {
        if let Ok(numeric) = address.parse() {
            return Ok(vec![numeric]);
        }
        if self.pending.borrow().is_none() {
            *self.pending.borrow_mut() = Some(ask(address.to_owned())?);
        }
        let answer = poll_fn(|context| match &mut *self.pending.borrow_mut() {
            Some(pending) => Pin::new(pending).poll(context),
            None => Poll::Pending,
        })
        .await;
        self.pending.take();
        let found = answer.unwrap_or_else(|_| Err(io::Error::other("the lookup was broken off")))?;
        if found.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        Ok(found)
    }
}

fn ask(address: String) -> io::Result<oneshot::Receiver<io::Result<Vec<SocketAddr>>>> {
    let (answer, pending) = oneshot::channel();
    std::thread::Builder::new().name("lookup".to_owned()).spawn(move || {
        // Nobody may wait any more.
        let _ = answer.send(address.to_socket_addrs().map(Iterator::collect));
    })?;
    Ok(pending)
}
