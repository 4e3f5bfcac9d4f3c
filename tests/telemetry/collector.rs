//! A collector, made from the protocol's own definitions: what OTLP asks of a receiver (<https://opentelemetry.io/docs/specs/otlp/>), over both
//! transports, and no more.

mod grpc;
mod http;

use std::fmt;
use std::net::TcpListener;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Instant;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

use super::spans::{Seen, Spans};
use crate::harness::PATIENCE;

/// How it is spoken to; shown as the config's `protocol`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Http,
    Grpc,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
        })
    }
}

/// The headers that a collector remembers.
const HEADERS: [&str; 2] = ["x-of", "authorization"];

/// A collector on a free port. It keeps the spans of the requests that it accepts.
pub(super) struct Collector {
    pub(super) endpoint: String,
    inbox: Arc<Inbox>,
}

#[derive(Default)]
struct Inbox {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    refuses: bool,
    holds: bool,
    requests: usize,
    /// [`HEADERS`] of each request, where it has them.
    headers: Vec<String>,
    spans: Vec<Seen>,
}

impl Collector {
    pub(super) fn open() -> Self {
        Self::speaking(Transport::Http)
    }

    pub(super) fn speaking(transport: Transport) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let inbox = Arc::new(Inbox::default());
        let served = inbox.clone();
        std::thread::spawn(move || match transport {
            Transport::Http => http::serve(&listener, &served),
            Transport::Grpc => grpc::serve(listener, served),
        });
        Self { endpoint, inbox }
    }

    /// Refuses requests from now on, or accepts them again.
    pub(super) fn refuse(&self, refuses: bool) {
        self.inbox.lock().refuses = refuses;
    }

    /// Answers no request until [`Collector::release`].
    pub(super) fn hold(&self) {
        self.inbox.lock().holds = true;
    }

    pub(super) fn release(&self) {
        self.inbox.lock().holds = false;
        self.inbox.changed.notify_all();
    }

    /// Waits for this many requests.
    pub(super) fn wait_for_requests(&self, count: usize) {
        drop(
            self.inbox
                .wait(&format!("{count} requests come"), |state| state.requests >= count),
        );
    }

    /// Waits for this many spans.
    pub(super) fn wait_for_spans(&self, count: usize) {
        drop(
            self.inbox
                .wait(&format!("{count} spans come"), |state| state.spans.len() >= count),
        );
    }

    /// Waits for such a span.
    pub(super) fn wait_for_span(&self, what: &str, such: impl Fn(&Seen) -> bool) {
        drop(self.inbox.wait(what, |state| state.spans.iter().any(&such)));
    }

    /// What has arrived: all there is, once the program has ended.
    pub(super) fn spans(&self) -> Spans {
        Spans(self.inbox.lock().spans.clone())
    }

    /// The [`HEADERS`] of every request that had some.
    pub(super) fn headers(&self) -> Vec<String> {
        self.inbox.lock().headers.clone()
    }
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn wait(&self, what: &str, such: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.lock();
        while !such(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "waited in vain: {what}; {} requests came",
                state.requests
            );
            state = self.changed.wait_timeout(state, left).unwrap().0;
        }
        state
    }

    /// Takes a request; whether it is accepted.
    fn take(&self, header: Option<&str>, request: ExportTraceServiceRequest) -> bool {
        let mut state = self.lock();
        state.requests += 1;
        state.headers.extend(header.map(str::to_owned));
        drop(state);
        self.changed.notify_all();
        let mut state = self.wait("the test lets it answer", |state| !state.holds);
        let accepts = !state.refuses;
        if accepts {
            state.spans.extend(Seen::all(request));
        }
        drop(state);
        self.changed.notify_all();
        accepts
    }
}
