//! A proxy that does to a connection what networks do: delay, throttle, slice, stall, half-close, reset, refuse.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::time::sleep;

/// The most it holds of a connection's data, beside its sockets.
pub(super) const CHUNK_BYTES: usize = 16 * 1024;

/// Where the proxy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leg {
    /// In front of a source.
    Source,
    /// Behind a sink.
    Sink,
}

/// Who opens the connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opens {
    /// The program dials the proxy.
    Program,
    /// The other side dials the proxy.
    Peer,
}

/// How a connection ends before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Break {
    /// The program gets an RST when exactly so many bytes have passed (`SO_LINGER` 0, socket(7)).
    ResetAt(u64),
    /// The program gets a FIN then; what it still sends is taken.
    HalfCloseAt(u64),
}

impl Break {
    pub(super) fn at(self) -> u64 {
        let (Self::ResetAt(at) | Self::HalfCloseAt(at)) = self;
        at
    }
}

/// What it does to the data; the other direction is passed on as it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    /// Every piece is held back for so long.
    pub(super) latency: Option<Duration>,
    pub(super) bytes_per_second: Option<u64>,
    /// Reads and writes of so many bytes.
    pub(super) slice_bytes: Option<usize>,
    /// When so many bytes have passed, none do for so long, once.
    pub(super) stall: Option<(u64, Duration)>,
    /// One for each connection, until they are used up.
    pub(super) breaks: VecDeque<Break>,
    /// It does not listen until it is told to.
    pub(super) refuses: bool,
}

/// A running proxy, on a thread of its own.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    /// What the kernel granted as the receive buffer towards whoever sends.
    pub(super) receive_buffer_bytes: usize,
    shared: Arc<Shared>,
    open: Option<oneshot::Sender<()>>,
    _stop: oneshot::Sender<()>,
}

struct Shared {
    leg: Leg,
    opens: Opens,
    target: SocketAddr,
    plan: Mutex<Plan>,
}

impl Proxy {
    /// Between whoever dials it and `target`.
    pub(super) fn start(leg: Leg, opens: Opens, target: SocketAddr, plan: Plan) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime can be built");
        let (open, opened) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        // Sockets of tokio are made inside of its runtime.
        let inside = runtime.enter();
        let socket = small_socket().expect("a socket can be made");
        socket.bind("127.0.0.1:0".parse().unwrap()).expect("a port is free");
        let proxy = Self {
            address: socket.local_addr().unwrap(),
            receive_buffer_bytes: socket.recv_buffer_size().unwrap() as usize,
            open: plan.refuses.then_some(open),
            shared: Arc::new(Shared {
                leg,
                opens,
                target,
                plan: Mutex::new(plan),
            }),
            _stop: stop,
        };
        let door = match proxy.open {
            Some(_) => Door::Closed(socket, opened),
            None => Door::Open(listening(socket)),
        };
        drop(inside);
        let shared = proxy.shared.clone();
        std::thread::spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    _ = stopped => {}
                    () = listen(door, shared) => {}
                }
            });
        });
        proxy
    }

    /// Listens from now on.
    pub(super) fn open(&mut self) {
        if let Some(open) = self.open.take() {
            let _ = open.send(());
        }
    }

    pub(super) fn breaks_left(&self) -> usize {
        self.shared.plan.lock().unwrap().breaks.len()
    }
}

/// Small buffers, so that a reset does not take half of all frames along.
fn small_socket() -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(CHUNK_BYTES as u32)?;
    Ok(socket)
}

/// Whether somebody who dials is refused.
enum Door {
    Open(TcpListener),
    Closed(TcpSocket, oneshot::Receiver<()>),
}

fn listening(socket: TcpSocket) -> TcpListener {
    socket.listen(64).expect("it is bound")
}

async fn listen(door: Door, shared: Arc<Shared>) {
    let listener = match door {
        Door::Open(listener) => listener,
        Door::Closed(socket, opened) => {
            let _ = opened.await;
            listening(socket)
        }
    };
    while let Ok((client, _)) = listener.accept().await {
        let shared = shared.clone();
        tokio::spawn(async move {
            // A connection that fails has ended; both ends see that themselves.
            let _ = connection(client, &shared).await;
        });
    }
}

async fn connection(client: TcpStream, shared: &Shared) -> io::Result<()> {
    let target = small_socket()?.connect(shared.target).await?;
    client.set_nodelay(true)?;
    target.set_nodelay(true)?;
    let (program, peer) = match shared.opens {
        Opens::Program => (client, target),
        Opens::Peer => (target, client),
    };
    match shared.leg {
        Leg::Source => from_peer(peer, program, shared).await,
        Leg::Sink => from_program(program, peer, shared).await,
    }
}

/// In front of a source: data goes to the program.
async fn from_peer(mut peer: TcpStream, mut program: TcpStream, shared: &Shared) -> io::Result<()> {
    let (mut peer_reads, mut peer_writes) = peer.split();
    let (mut program_reads, mut program_writes) = program.split();
    let mut pump = Pump::new(shared);
    let broken = tokio::select! {
        broken = pump.run(&mut peer_reads, &mut program_writes) => broken?,
        // The program closed: so does the proxy.
        _ = tokio::io::copy(&mut program_reads, &mut peer_writes) => return Ok(()),
    };
    match broken {
        // Resets follow what was sent before only when the kernel at the other end has it: a close with linger 0 throws away the rest.
        Some(Break::ResetAt(_)) => {
            settle(&program).await?;
            SockRef::from(&program).set_linger(Some(Duration::ZERO))?;
        }
        Some(Break::HalfCloseAt(_)) | None => {
            program_writes.shutdown().await?;
            tokio::io::copy(&mut program_reads, &mut tokio::io::sink()).await?;
        }
    }
    Ok(())
}

/// Behind a sink: data comes from the program.
async fn from_program(mut program: TcpStream, mut peer: TcpStream, shared: &Shared) -> io::Result<()> {
    let (mut program_reads, mut program_writes) = program.split();
    let (mut peer_reads, mut peer_writes) = peer.split();
    let mut pump = Pump::new(shared);
    let broken = tokio::select! {
        broken = pump.run(&mut program_reads, &mut peer_writes) => broken?,
        _ = tokio::io::copy(&mut peer_reads, &mut program_writes) => return Ok(()),
    };
    match broken {
        Some(Break::ResetAt(_)) => SockRef::from(&program).set_linger(Some(Duration::ZERO))?,
        Some(Break::HalfCloseAt(_)) => {
            program_writes.shutdown().await?;
            pump.run(&mut program_reads, &mut peer_writes).await?;
        }
        None => {}
    }
    // The peer gets all that has passed.
    Ok(())
}

async fn settle(stream: &TcpStream) -> io::Result<()> {
    while aqueduct_sys::socket::unsent_bytes(stream)? > 0 {
        sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

/// Passes data on, as the plan says.
struct Pump<'a> {
    shared: &'a Shared,
    plan: Plan,
    next_break: Option<Break>,
    passed: u64,
}

impl<'a> Pump<'a> {
    fn new(shared: &'a Shared) -> Self {
        let plan = shared.plan.lock().unwrap().clone();
        Self {
            next_break: plan.breaks.front().copied(),
            shared,
            plan,
            passed: 0,
        }
    }

    /// Until the end of the data, or until the break.
    async fn run(
        &mut self,
        from: &mut (impl AsyncReadExt + Unpin),
        to: &mut (impl AsyncWriteExt + Unpin),
    ) -> io::Result<Option<Break>> {
        let mut buffer = vec![0; self.plan.slice_bytes.unwrap_or(CHUNK_BYTES)];
        loop {
            if self.next_break.is_some_and(|next| next.at() <= self.passed) {
                self.shared.plan.lock().unwrap().breaks.pop_front();
                return Ok(self.next_break.take());
            }
            let left = self.next_break.map_or(u64::MAX, |next| next.at() - self.passed);
            let room = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let bytes = from.read(&mut buffer[..room]).await?;
            if bytes == 0 {
                return Ok(None);
            }
            self.delay(bytes).await;
            to.write_all(&buffer[..bytes]).await?;
            self.passed += bytes as u64;
        }
    }

    async fn delay(&mut self, bytes: usize) {
        if let Some((_, pause)) = self.plan.stall.take_if(|(at, _)| self.passed >= *at) {
            self.shared.plan.lock().unwrap().stall = None;
            sleep(pause).await;
        }
        if let Some(latency) = self.plan.latency {
            sleep(latency).await;
        }
        if let Some(rate) = self.plan.bytes_per_second {
            sleep(Duration::from_secs_f64(bytes as f64 / rate as f64)).await;
        }
    }
}
