//! Both ends of a pipeline of HL7 messages.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use crate::harness::PATIENCE;

/// A message with this id in MSH-10.
pub(super) fn message(id: &str) -> String {
    format!("\x0bMSH|^~\\&|LAB|HOUSE|EHR|HOUSE|20260101||ORU^R01|{id}|P|2.5\rPID|1\r\x1c\r")
}

/// Who sends messages and hears acknowledgements.
pub(super) struct Sender(TcpStream);

impl Sender {
    pub(super) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    pub(super) fn send(&mut self, id: &str) {
        self.say(&message(id));
    }

    pub(super) fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    /// Says that nothing more comes.
    pub(super) fn finish(&self) {
        self.0.shutdown(Shutdown::Write).unwrap();
    }

    /// The next acknowledgement, from its code on.
    pub(super) fn ack(&mut self) -> String {
        let mut text = Vec::new();
        while !text.ends_with(b"\x1c\r") {
            let mut byte = [0];
            self.0.read_exact(&mut byte).expect("an acknowledgement");
            text.push(byte[0]);
        }
        let text = String::from_utf8(text).unwrap();
        let (_, code) = text.split_once("\rMSA|").expect("a segment MSA");
        code.trim_end_matches("\r\x1c\r").to_owned()
    }

    pub(super) fn take(&mut self, bytes: usize) -> String {
        let mut text = vec![0; bytes];
        self.0.read_exact(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    /// Nothing has come that was not taken.
    pub(super) fn assert_silent(&self) {
        self.0.set_nonblocking(true).unwrap();
        let peeked = self.0.peek(&mut [0]).map_err(|error| error.kind());
        assert_eq!(peeked, Err(ErrorKind::WouldBlock));
        self.0.set_nonblocking(false).unwrap();
    }

    /// What comes until the other side has closed.
    pub(super) fn until_end(&mut self) -> String {
        let mut text = String::new();
        self.0.read_to_string(&mut text).unwrap();
        text
    }
}

/// Who takes messages as lines, and answers each with a byte when it wants to.
pub(super) struct Taker(TcpStream);

impl Taker {
    pub(super) fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    pub(super) fn take(&mut self, id: &str) {
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte).unwrap();
            line.push(byte[0]);
        }
        let line = String::from_utf8(line).unwrap();
        assert!(line.contains(&format!("|{id}|")), "{id}: {line:?}");
    }

    pub(super) fn answer(&mut self) {
        self.0.write_all(b"y").unwrap();
    }
}
