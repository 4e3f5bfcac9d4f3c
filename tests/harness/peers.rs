//! The two ends of a pipeline: who feeds it, and who takes from it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::RangeInclusive;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use super::{Messages, PATIENCE, Sequence};

/// Somebody who sends numbered messages.
pub(crate) struct Feeder {
    stream: TcpStream,
    messages: Messages,
}

impl Feeder {
    pub(crate) fn connect(address: SocketAddr, messages: Messages) -> Self {
        let stream = TcpStream::connect(address).expect("the source listens");
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream, messages }
    }

    /// Sends these messages; waits while the pipeline reads nothing.
    pub(crate) fn send(&mut self, numbers: RangeInclusive<u64>) {
        self.try_send(numbers).expect("the pipeline reads");
    }

    pub(crate) fn send_text(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).expect("the pipeline reads");
    }

    /// As [`Feeder::send`], for a pipeline that may be gone before the end.
    pub(crate) fn try_send(&mut self, numbers: RangeInclusive<u64>) -> std::io::Result<()> {
        let mut block = Vec::new();
        for number in numbers.clone() {
            block.extend(self.messages.line(number));
            if block.len() >= 64_000 || number == *numbers.end() {
                self.stream.write_all(&block)?;
                block.clear();
            }
        }
        Ok(())
    }
}

/// While all messages are sent, a destination takes some, leaves in order, and comes back, ten times; then it takes the rest. None may be missing or
/// come twice.
pub(crate) fn leave_and_come_back(
    source: SocketAddr,
    messages: Messages,
    (each_time, last): (u64, u64),
    connect: impl Fn() -> Destination,
) {
    let mut seen = Sequence::default();
    std::thread::scope(|scope| {
        scope.spawn(|| Feeder::connect(source, messages).send(1..=last));
        for _ in 0..10 {
            let mut destination = connect();
            destination.take(each_time, &mut seen);
            destination.leave(&mut seen);
        }
        connect().take_through(last, &mut seen);
    });
    seen.assert_is(1, last);
}

/// Somebody who waits for a sink that dials out.
pub(crate) struct Listener(TcpListener);

impl Listener {
    /// Listens on a free port. Its connections get a receive buffer of these bytes, where that is wanted.
    pub(crate) fn open(receive_buffer_bytes: Option<usize>) -> Self {
        Self::on("127.0.0.1:0".parse().unwrap(), receive_buffer_bytes)
    }

    /// Listens where somebody listened before.
    pub(crate) fn on(address: SocketAddr, receive_buffer_bytes: Option<usize>) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        if let Some(bytes) = receive_buffer_bytes {
            socket.set_recv_buffer_size(bytes).unwrap();
        }
        socket.bind(&address.into()).unwrap();
        // accept(2) keeps to it too (socket(7)).
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.listen(16).unwrap();
        Self(socket.into())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    pub(crate) fn accept(&self, messages: Messages) -> Destination {
        Destination::new(self.0.accept().expect("the sink dials").0, messages)
    }

    /// Accepts somebody who takes no more out of the socket than the message at hand, so that what an abrupt end loses is bounded.
    pub(crate) fn accept_small(&self, messages: Messages) -> Destination {
        self.accept(messages).taking_little()
    }
}

/// Somebody who takes numbered messages, at the pace at which the test asks for them.
pub(crate) struct Destination {
    stream: BufReader<TcpStream>,
    messages: Messages,
    line: Vec<u8>,
}

impl Destination {
    fn new(stream: TcpStream, messages: Messages) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let stream = BufReader::with_capacity(256 * 1024, stream);
        Self {
            stream,
            messages,
            line: Vec::new(),
        }
    }

    pub(crate) fn connect(address: SocketAddr, messages: Messages) -> Self {
        Self::new(TcpStream::connect(address).expect("the sink listens"), messages)
    }

    /// Connects with a receive buffer of about these bytes, so that little is under way.
    pub(crate) fn connect_small(address: SocketAddr, messages: Messages, receive_buffer_bytes: usize) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(receive_buffer_bytes).unwrap();
        socket.connect(&address.into()).expect("the sink listens");
        Self::new(socket.into(), messages).taking_little()
    }

    /// Says this before it takes anything.
    pub(crate) fn saying(mut self, text: &str) -> Self {
        self.stream
            .get_mut()
            .write_all(text.as_bytes())
            .expect("the sink reads");
        self
    }

    fn taking_little(mut self) -> Self {
        self.stream = BufReader::with_capacity(self.messages.most, self.stream.into_inner());
        self
    }

    /// What the kernel granted as a receive buffer, in bytes.
    pub(crate) fn receive_buffer_bytes(&self) -> usize {
        SockRef::from(self.stream.get_ref()).recv_buffer_size().unwrap()
    }

    /// Bytes that have come and were not taken: in the kernel's receive buffer, and in this one's own.
    pub(crate) fn untaken_bytes(&self) -> u64 {
        rustix::io::ioctl_fionread(self.stream.get_ref()).unwrap() + self.stream.buffer().len() as u64
    }

    /// The number of the next whole message; nothing once the other side has closed or reset the connection.
    pub(crate) fn next(&mut self) -> Option<u64> {
        self.line.clear();
        match self.stream.read_until(b'\n', &mut self.line) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
            Err(error) => panic!("nothing came for {PATIENCE:?}: {error}"),
        }
        let message = self.line.strip_suffix(b"\n")?;
        Some(self.messages.number(message))
    }

    /// Takes messages until number `last` has come.
    pub(crate) fn take_through(&mut self, last: u64, seen: &mut Sequence) {
        while seen.last() < last || seen.first() == 0 {
            let Some(number) = self.next() else {
                panic!("the connection ended before number {last}: {seen:?}");
            };
            seen.see(number);
        }
    }

    /// Takes this many messages, or what there is before the end.
    pub(crate) fn take(&mut self, count: u64, seen: &mut Sequence) {
        for _ in 0..count {
            let Some(number) = self.next() else { return };
            seen.see(number);
        }
    }

    /// Takes whatever comes until the other side closes.
    pub(crate) fn take_all(mut self, seen: &mut Sequence) {
        while let Some(number) = self.next() {
            seen.see(number);
        }
    }

    /// Leaves as well-behaved clients do: says that it will send nothing more, and takes what has been sent.
    pub(crate) fn leave(self, seen: &mut Sequence) {
        self.stream.get_ref().shutdown(Shutdown::Write).unwrap();
        self.take_all(seen);
    }

    /// Says that it will send nothing more, and stays.
    pub(crate) fn finish_sending(&self) {
        self.stream.get_ref().shutdown(Shutdown::Write).unwrap();
    }

    /// Leaves with an RST: what lies in the buffers is lost.
    pub(crate) fn reset(self) {
        SockRef::from(self.stream.get_ref())
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }

    /// The end of the connection, if nothing more comes before it.
    pub(crate) fn assert_ends(mut self) {
        let mut rest = Vec::new();
        let read = self.stream.read_to_end(&mut rest);
        assert!(rest.is_empty(), "unexpected bytes: {}", String::from_utf8_lossy(&rest));
        drop(read);
    }
}
