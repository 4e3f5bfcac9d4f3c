//! `acknowledge = "kernel"` under connections that end at a byte: what comes again is what had not been acknowledged, and `resend_bytes` more.
//!
//! The destination stands here itself, behind no proxy, because what counts is what its own kernel has acknowledged. When it waits
//! before a reset until nothing more arrives, that is known to the byte, and so is the frame that the next connection must begin with.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::RangeInclusive;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use super::proxy::Opens;
use crate::harness::{Folder, Messages, PATIENCE, Program, wait_until};
use crate::run::Case;

const MESSAGES: Messages = Messages { least: 13, most: 2_000 };
const LAST: u64 = 4_000;
/// How many bytes a connection takes at most before it breaks off.
const MOST_TAKEN: u64 = 200_000;
/// With what its buffers can hold. Less may be left: an orderly end takes all that the sink's kernel holds too, which can be all there is.
const ENOUGH_TO_BREAK_OFF: u64 = MOST_TAKEN + 8 * BUFFER as u64;
/// Asked for as a receive buffer, so that the destination's kernel takes little.
const BUFFER: usize = 16 * 1024;

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// With an RST when the kernel can take no more.
    ResetWhenFull,
    /// With an RST at once.
    Reset,
    /// With a FIN, and by taking what still comes.
    Leave,
}

pub(crate) fn play(case: &mut Case) -> Result<(), String> {
    let mut random = case.random();
    let opens = if random.bool() { Opens::Program } else { Opens::Peer };
    let resend_bytes = if random.bool() { 0 } else { random.u64(1..100_000) };
    let (folder, peer) = (Folder::new(), Peer::new(opens));
    let program = start(&folder, &peer, resend_bytes);
    let (source, network) = (program.address_of("source"), peer.address(&program));
    let pieces = random.fork();
    std::thread::scope(|scope| {
        scope.spawn(move || feed(source, pieces));
        let (mut begin, mut settled) = (1..=1, 0);
        for _ in 0..random.usize(1..5) {
            if MESSAGES.bytes(*begin.end()..LAST + 1) < ENOUGH_TO_BREAK_OFF {
                case.count("cases that end early because too little is left to break off", 1);
                break;
            }
            let mut connection = peer.connect(network);
            let end = [End::ResetWhenFull, End::ResetWhenFull, End::Reset, End::Leave][random.usize(0..4)];
            // Also so little that the next end comes inside the batch with which the connection began.
            let most = if random.bool() { 12_000 } else { MOST_TAKEN };
            connection.take(random.u64(2 * MESSAGES.most as u64..most))?;
            connection.check_begin(&begin)?;
            let next = connection.next;
            (begin, settled) = connection.end(end, resend_bytes, settled, &program)?;
            case.count(
                match end {
                    End::Leave => "orderly ends",
                    End::Reset | End::ResetWhenFull => "resets",
                },
                1,
            );
            if end == End::ResetWhenFull {
                case.count("frames lost as `kernel` says", begin.start().saturating_sub(next));
            }
        }
        // When an orderly end took everything, nothing is written to another connection.
        if *begin.start() <= LAST {
            take_the_rest(peer.connect(network), &begin)?;
        }
        let status = program.wait_for("all is settled", |status| {
            status.number("network", "unacknowledged_bytes") == 0 && status.number("drain", "waiting_frames") == 0
        });
        case.count("frames sent again", status.number("network", "frames_resent"));
        match status.number("network", "frames_out") {
            LAST => Ok(()),
            out => Err(format!("{out} frames count as delivered, of {LAST}")),
        }
    })?;
    program.stop_in_doubt();
    Ok(())
}

fn take_the_rest(mut connection: Connection, begin: &RangeInclusive<u64>) -> Result<(), String> {
    while connection.next <= LAST {
        if connection.take_some(u64::MAX)? == 0 {
            return Err(format!("the connection ended before message {}", connection.next));
        }
    }
    connection.check_begin(begin)
}

fn start(folder: &Folder, peer: &Peer, resend_bytes: u64) -> Program {
    let (kind, place) = match &peer.0 {
        Some(listener) => (
            "tcp_client",
            format!(r#"address = "{}""#, listener.local_addr().unwrap()),
        ),
        None => ("tcp_server", r#"listen = "127.0.0.1:0""#.to_owned()),
    };
    folder.run_pipeline(&format!(
        r#"
        name = "p"
        flow = ["source -> drain -> network"]
        sources.source = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        spills.drain = {{ directory = "data", memory_bytes = "128 KiB" }}
        [sinks.network]
        type = "{kind}"
        {place}
        acknowledge = "kernel"
        resend_bytes = {resend_bytes}
        linger = "1m"
        retry = {{ first = "1ms", max = "20ms" }}
        "#
    ))
}

/// Sends everything in pieces of a few messages, so that batches are small.
fn feed(source: SocketAddr, mut random: fastrand::Rng) {
    let mut stream = TcpStream::connect(source).expect("the source listens");
    stream.set_nodelay(true).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let (mut next, most) = (1, random.u64(2..100));
    while next <= LAST {
        let end = (next + random.u64(1..most)).min(LAST + 1);
        let piece: Vec<u8> = (next..end).flat_map(|number| MESSAGES.line(number)).collect();
        stream.write_all(&piece).expect("the pipeline reads");
        next = end;
    }
}

/// Who takes the messages: it listens, or it dials.
struct Peer(Option<TcpListener>);

impl Peer {
    fn new(opens: Opens) -> Self {
        Self((opens == Opens::Program).then(|| {
            let socket = small_socket();
            socket
                .bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into())
                .expect("a port is free");
            socket.listen(16).expect("it is bound");
            socket.into()
        }))
    }

    fn address(&self, program: &Program) -> SocketAddr {
        match &self.0 {
            Some(listener) => listener.local_addr().unwrap(),
            None => program.address_of("network"),
        }
    }

    /// A connection on which something has come: while the sink has not seen the end of the last one, it refuses the next.
    fn connect(&self, network: SocketAddr) -> Connection {
        wait_until("the sink writes to a new connection", || {
            let stream = match &self.0 {
                Some(listener) => listener.accept().expect("the sink dials").0,
                None => {
                    let socket = small_socket();
                    socket.connect(&network.into()).expect("the sink listens");
                    socket.into()
                }
            };
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let served = matches!(stream.peek(&mut [0]), Ok(1));
            served.then(|| Connection::new(stream))
        })
    }
}

fn small_socket() -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket can be made");
    // What accept(2) gives has it too (socket(7)).
    socket.set_recv_buffer_size(BUFFER).expect("it can be asked for");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    socket
}

/// What has come over one connection.
struct Connection {
    stream: TcpStream,
    taken: u64,
    line: Vec<u8>,
    /// The first message, and the one behind the last; 0 before any.
    first: u64,
    next: u64,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            taken: 0,
            line: Vec::new(),
            first: 0,
            next: 0,
        }
    }

    /// Takes so many bytes, and none more.
    fn take(&mut self, bytes: u64) -> Result<(), String> {
        let end = self.taken + bytes;
        while self.taken < end {
            if self.take_some(end - self.taken)? == 0 {
                return Err(format!("the connection ended behind {} bytes", self.taken));
            }
        }
        Ok(())
    }

    /// Returns how many; 0 at the end.
    fn take_some(&mut self, most: u64) -> Result<usize, String> {
        let mut buffer = [0; 4096];
        let room = buffer.len().min(usize::try_from(most).unwrap_or(usize::MAX));
        let taken = self
            .stream
            .read(&mut buffer[..room])
            .map_err(|error| format!("nothing comes: {error}"))?;
        self.taken += taken as u64;
        for byte in &buffer[..taken] {
            if *byte != b'\n' {
                self.line.push(*byte);
                continue;
            }
            let number = MESSAGES.number(&self.line);
            self.line.clear();
            if self.first == 0 {
                (self.first, self.next) = (number, number);
            }
            if number != self.next {
                return Err(format!("message {number} came where {} was due", self.next));
            }
            self.next += 1;
        }
        Ok(taken)
    }

    fn check_begin(&self, begin: &RangeInclusive<u64>) -> Result<(), String> {
        if begin.contains(&self.first) {
            return Ok(());
        }
        Err(format!(
            "a connection began with message {}, which should be one of {begin:?}",
            self.first
        ))
    }

    /// Ends it. Returns the messages with which the next one may begin, and up to which message all may count as delivered; that was
    /// `settled` before.
    fn end(
        mut self,
        end: End,
        resend_bytes: u64,
        settled: u64,
        program: &Program,
    ) -> Result<(RangeInclusive<u64>, u64), String> {
        if end == End::Leave {
            self.stream.shutdown(Shutdown::Write).unwrap();
            while self.take_some(u64::MAX)? > 0 {}
            if !self.line.is_empty() {
                return Err("an orderly end came inside a message".to_owned());
            }
            return Ok((self.next..=self.next, self.next - 1));
        }
        let acknowledged = if end == End::ResetWhenFull {
            let bytes = self.taken + self.untaken_when_full(program);
            self.check_settled(bytes, settled, program)?;
            bytes..=bytes
        } else {
            // What the kernel has acknowledged of what it holds, only the kernels know.
            let buffer = SockRef::from(&self.stream).recv_buffer_size().unwrap();
            0..=self.taken + buffer as u64
        };
        // With linger 0 a close sends an RST (socket(7)).
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
        let begin = |bytes: &u64| self.first_beyond(bytes.saturating_sub(resend_bytes));
        let settled = settled.max(self.first_beyond(*acknowledged.end()) - 1);
        Ok((begin(acknowledged.start())..=begin(acknowledged.end()), settled))
    }

    /// Waits until nothing more arrives though there is more, longer than the kernel waits before it fills the rest of a small window (200 ms);
    /// returns what has arrived and was not taken.
    fn untaken_when_full(&self, program: &Program) -> u64 {
        let (mut last, mut same) = (0, 0);
        wait_until("the destination is full", || {
            let now = rustix::io::ioctl_fionread(&self.stream).unwrap();
            let more = program.status_of("p").number("network", "unacknowledged_bytes") > 0;
            same = if now == last && more { same + 1 } else { 0 };
            last = now;
            (now > 0 && same == 30).then_some(now)
        })
    }

    /// No message counts as delivered that is not whole among the first `acknowledged` bytes, and was not `settled` before.
    fn check_settled(&self, acknowledged: u64, settled: u64, program: &Program) -> Result<(), String> {
        let out = program.status_of("p").number("network", "frames_out");
        let whole = settled.max(self.first_beyond(acknowledged) - 1);
        if out > whole {
            return Err(format!("{out} messages count as delivered, {whole} were acknowledged"));
        }
        Ok(())
    }

    /// The first message of which not all is among the first so many bytes.
    fn first_beyond(&self, bytes: u64) -> u64 {
        let mut end = 0;
        let beyond = |number: &u64| {
            end += MESSAGES.size(*number) as u64;
            end > bytes
        };
        (self.first..).find(beyond).expect("there is one")
    }
}
