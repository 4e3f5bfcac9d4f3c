//! A collector: what OTLP/HTTP asks of a receiver (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>), and no more.

use std::io::{BufRead, BufReader, Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::spans::{Seen, Spans};
use crate::harness::PATIENCE;

/// A collector on a free port. It answers every request with its status, and keeps the spans of those it accepts.
pub(super) struct Collector {
    pub(super) endpoint: String,
    inbox: Arc<Inbox>,
}

struct Inbox {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    status: &'static str,
    requests: usize,
    spans: Vec<Seen>,
}

impl Collector {
    pub(super) fn open() -> Self {
        Self::answering("200 OK")
    }

    pub(super) fn answering(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = State {
            status,
            requests: 0,
            spans: Vec::new(),
        };
        let inbox = Arc::new(Inbox {
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let served = inbox.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let served = served.clone();
                // A connection that ends in the middle of a request is the exporter's end, not a failure.
                std::thread::spawn(move || serve(stream, &served));
            }
        });
        Self { endpoint, inbox }
    }

    pub(super) fn answer(&self, status: &'static str) {
        self.inbox.state.lock().unwrap().status = status;
    }

    /// Waits for this many requests.
    pub(super) fn wait_for_requests(&self, count: usize) {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.inbox.state.lock().unwrap();
        while state.requests < count {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{} of {count} requests came", state.requests);
            state = self.inbox.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Waits for such a span.
    pub(super) fn wait_for_span(&self, what: &str, such: impl Fn(&Seen) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.inbox.state.lock().unwrap();
        while !state.spans.iter().any(&such) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain: {what}");
            state = self.inbox.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// What has arrived: all there is, once the program has ended.
    pub(super) fn spans(&self) -> Spans {
        Spans(self.inbox.state.lock().unwrap().spans.clone())
    }
}

fn serve(stream: TcpStream, inbox: &Inbox) -> Result<()> {
    let (mut reader, mut writer) = (BufReader::new(stream.try_clone()?), stream);
    while let Some(body) = request(&mut reader)? {
        let status = {
            let mut state = inbox.state.lock().unwrap();
            if state.status.starts_with("200") {
                let request = ExportTraceServiceRequest::decode(&*body).expect("the body is an OTLP request");
                state.spans.extend(Seen::all(request));
            }
            state.requests += 1;
            state.status
        };
        inbox.changed.notify_all();
        // An empty body is an empty ExportTraceServiceResponse.
        write!(
            writer,
            "HTTP/1.1 {status}\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"
        )?;
    }
    Ok(())
}

/// The body of the next request of the connection.
fn request(reader: &mut BufReader<TcpStream>) -> Result<Option<Vec<u8>>> {
    let (mut head, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number of bytes");
        }
        head.push(line);
    }
    assert_eq!(head[0], "post /v1/traces http/1.1");
    assert!(
        head.contains(&"content-type: application/x-protobuf".to_owned()),
        "{head:?}"
    );
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(body))
}
