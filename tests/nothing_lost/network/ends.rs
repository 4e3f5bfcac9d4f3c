//! Who sends through a proxy in front of a source, and who takes through one behind a sink.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use super::plan::Break;
use super::proxy::{Opens, Proxy};
use crate::harness::{Destination, Listener, Messages, PATIENCE, Program, Sequence};

/// How the frames are written on the source's leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Lines,
    /// Four bytes of length in front, big endian: with it also a FIN inside a frame leaves none.
    Lengths,
}

/// Somebody who sends numbered messages, and goes on behind the last one that passed whole.
pub(super) struct Sender {
    opens: Opens,
    /// The program or its proxy, or where this one listens.
    address: SocketAddr,
    listener: Option<TcpListener>,
    stream: Option<TcpStream>,
    messages: Messages,
    form: Form,
    breaks: VecDeque<Break>,
    broken: u64,
    next: u64,
    /// Bytes of frames that breaks cut off.
    pub(super) truncated_bytes: u64,
}

impl Sender {
    pub(super) fn new(opens: Opens, messages: Messages, form: Form, breaks: VecDeque<Break>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        Self {
            opens,
            address: listener.local_addr().unwrap(),
            listener: (opens == Opens::Program).then_some(listener),
            stream: None,
            messages,
            form,
            breaks,
            broken: 0,
            next: 1,
            truncated_bytes: 0,
        }
    }

    /// Where the program dials, by way of a proxy.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whom to dial, when this side does.
    pub(super) fn dial(&mut self, proxy: &Proxy) {
        if self.opens == Opens::Peer {
            self.address = proxy.address;
        }
    }

    /// Sends everything up to number `last`, over as many connections as it takes.
    pub(super) fn send_through(&mut self, last: u64, program: &Program) {
        while self.next <= last {
            let mut stream = self.stream.take().unwrap_or_else(|| self.open());
            let bytes: Vec<u8> = (self.next..=last).flat_map(|number| self.wire(number)).collect();
            let Some(end) = self.breaks.pop_front() else {
                stream.write_all(&bytes).expect("the pipeline reads");
                (self.next, self.stream) = (last + 1, Some(stream));
                return;
            };
            assert!((bytes.len() as u64) > end.at(), "the break comes before the end");
            // It breaks off: what has passed is known from where.
            let _ = stream.write_all(&bytes);
            let _ = stream.read(&mut [0]);
            self.note_passed(end.at());
            self.broken += 1;
            // Two connections at once have no order between them.
            program.wait_for("the program has seen the end", |status| {
                status.number("source", "disconnects") >= self.broken
            });
        }
    }

    fn note_passed(&mut self, mut bytes: u64) {
        loop {
            let frame = self.wire(self.next).len() as u64;
            if frame > bytes {
                self.truncated_bytes += bytes;
                return;
            }
            (self.next, bytes) = (self.next + 1, bytes - frame);
        }
    }

    fn wire(&self, number: u64) -> Vec<u8> {
        let mut line = self.messages.line(number);
        if self.form == Form::Lines {
            return line;
        }
        line.pop();
        [&(line.len() as u32).to_be_bytes(), line.as_slice()].concat()
    }

    fn open(&self) -> TcpStream {
        let stream = match &self.listener {
            Some(listener) => listener.accept().expect("the source dials").0,
            None => TcpStream::connect(self.address).expect("the proxy listens"),
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

/// Somebody who takes numbered messages over as many connections as it takes.
pub(super) enum Taker {
    Listens(Listener),
    Dials(SocketAddr),
}

impl Taker {
    pub(super) fn new(opens: Opens) -> Self {
        match opens {
            Opens::Program => Self::Listens(Listener::open(None)),
            Opens::Peer => Self::Dials("127.0.0.1:0".parse().unwrap()),
        }
    }

    /// Where the program dials, by way of a proxy.
    pub(super) fn address(&self) -> SocketAddr {
        match self {
            Self::Listens(listener) => listener.address(),
            Self::Dials(address) => *address,
        }
    }

    /// Whom to dial, when this side does.
    pub(super) fn dial(&mut self, proxy: &Proxy) {
        if let Self::Dials(address) = self {
            *address = proxy.address;
        }
    }

    pub(super) fn take_through(&self, last: u64, messages: Messages) -> Sequence {
        let mut seen = Sequence::default();
        while seen.last() < last {
            let mut destination = match self {
                Self::Listens(listener) => listener.accept(messages),
                Self::Dials(address) => Destination::connect(*address, messages),
            };
            while let Some(number) = destination.next() {
                seen.see(number);
                if number == last {
                    break;
                }
            }
        }
        seen
    }
}
