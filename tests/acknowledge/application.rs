//! An application that takes numbered messages and answers as the test tells it to.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::RangeInclusive;
use std::time::Duration;

use socket2::SockRef;

use crate::harness::{Messages, PATIENCE};

pub(super) const MESSAGES: Messages = Messages::SHORT;

pub(super) struct Application {
    stream: BufReader<TcpStream>,
}

impl Application {
    pub(super) fn accept(listener: &TcpListener) -> Self {
        Self::new(listener.accept().expect("the sink dials").0)
    }

    pub(super) fn connect(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect(address).expect("the sink listens"))
    }

    fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let stream = BufReader::new(stream);
        Self { stream }
    }

    /// The next message; none once the other side has ended the connection.
    pub(super) fn next(&mut self) -> Option<u64> {
        let mut line = Vec::new();
        match self.stream.read_until(b'\n', &mut line) {
            Ok(_) => Some(MESSAGES.number(line.strip_suffix(b"\n")?)),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
            Err(error) => panic!("nothing came for {PATIENCE:?}: {error}"),
        }
    }

    /// Takes these messages, and nothing else comes before or between.
    pub(super) fn take(&mut self, numbers: RangeInclusive<u64>) {
        for number in numbers {
            assert_eq!(self.next(), Some(number), "the next message");
        }
    }

    pub(super) fn answer(&mut self, text: &str) {
        self.try_answer(text).expect("the sink reads");
    }

    /// For a sink that may have ended the connection.
    pub(super) fn try_answer(&mut self, text: &str) -> std::io::Result<()> {
        self.stream.get_mut().write_all(text.as_bytes())
    }

    /// Takes these messages and answers each.
    pub(super) fn serve(&mut self, numbers: RangeInclusive<u64>) {
        for number in numbers {
            self.take(number..=number);
            self.answer("OK\n");
        }
    }

    /// Bytes that are there already.
    pub(super) fn untaken_bytes(&self) -> u64 {
        rustix::io::ioctl_fionread(self.stream.get_ref()).unwrap() + self.stream.buffer().len() as u64
    }

    /// Leaves with an RST.
    pub(super) fn reset(self) {
        SockRef::from(self.stream.get_ref())
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }

    /// Waits until the other side has ended the connection, whatever comes before.
    pub(super) fn await_end(mut self) {
        while self.next().is_some() {}
    }
}
