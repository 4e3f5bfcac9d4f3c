//! Accepting: whoever connects to any of the addresses of one actor, and what happens while nobody can be accepted.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::{Duration, Instant};

use aqueduct_framework::flight::Repeats;
use aqueduct_framework::plugin::Context;
use tokio::net::{TcpListener, TcpStream};

use super::advice;

/// The first pause after accept(2) failed; it doubles up to the longest until somebody was accepted.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The listening sockets of one actor.
pub(crate) struct Listener {
    sockets: Vec<TcpListener>,
    context: Context,
    began: Instant,
    /// Of failures.
    repeats: RefCell<Repeats<()>>,
    /// Nothing is accepted before this, and the pause that led to it; none while all is well.
    paused: Cell<Option<(Instant, Duration)>>,
}

impl Listener {
    pub(super) fn new(sockets: Vec<TcpListener>, context: &Context) -> Self {
        Self {
            sockets,
            context: context.clone(),
            began: Instant::now(),
            repeats: RefCell::default(),
            paused: Cell::new(None),
        }
    }

    /// Where it listens, as it is read in a sentence: `127.0.0.1:9000 and [::1]:9000`.
    pub(crate) fn address(&self) -> String {
        let addresses = self.sockets.iter().filter_map(|socket| socket.local_addr().ok());
        let texts: Vec<_> = addresses.map(|address| address.to_string()).collect();
        texts.join(" and ")
    }

    /// The next who connects. One task at a time. Cancel-safe.
    ///
    /// When accept(2) fails, such as at the limit of open files, it is tried again after a pause that grows; `status` shows it until it is over.
    pub(crate) async fn accept(&self) -> (TcpStream, SocketAddr) {
        loop {
            if let Some((until, _)) = self.paused.get() {
                tokio::time::sleep_until(until.into()).await;
            }
            match self.next().await {
                Ok((stream, peer)) => {
                    if self.paused.take().is_some() {
                        self.context.say("trouble", String::new());
                    }
                    return (stream, canonical(peer));
                }
                Err(error) => self.failed(&error),
            }
        }
    }

    async fn next(&self) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|context| {
            let mut polled = self.sockets.iter().map(|socket| socket.poll_accept(context));
            polled.find(Poll::is_ready).unwrap_or(Poll::Pending)
        })
        .await
    }

    fn failed(&self, error: &io::Error) {
        self.context.counter("accept_errors").add(1);
        if is_of_one(error) {
            return;
        }
        let pause = match self.paused.get() {
            Some((_, before)) => (before * 2).min(LONGEST_PAUSE),
            None => FIRST_PAUSE,
        };
        self.paused.set(Some((Instant::now() + pause, pause)));
        let trouble = format!("cannot accept connections: {}: {error}", advice(error));
        let heard = self
            .repeats
            .borrow_mut()
            .note(self.began.elapsed().as_millis() as u64, ());
        if heard.aloud() {
            tracing::warn!(actor = %self.context.actor, "{trouble}{heard}");
        }
        self.context.say("trouble", trouble);
    }
}

/// The error is that of a connection which ended while it waited to be accepted; the next may be well.
fn is_of_one(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

/// An address as people write it: a socket of both families knows peers of IPv4 as `::ffff:127.0.0.1`.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
