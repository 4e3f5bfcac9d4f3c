//! A proxy that does to a connection what networks do: delay, throttle, slice, stall, half-close, reset, refuse.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::plan::{Break, CHUNK_BYTES, Plan, Pump};

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
    /// None while nobody is there.
    target: Mutex<Option<SocketAddr>>,
    plan: Mutex<Plan>,
    /// For what a peer answers behind a sink.
    answers: Mutex<Plan>,
}

impl Proxy {
    /// Between whoever dials it and `target`.
    pub(super) fn start(leg: Leg, opens: Opens, target: SocketAddr, plan: Plan) -> Self {
        Self::start_both(leg, opens, target, plan, Plan::default())
    }

    /// The same, behind a sink with another plan for what the peer answers.
    pub(super) fn start_both(leg: Leg, opens: Opens, target: SocketAddr, plan: Plan, answers: Plan) -> Self {
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
                target: Mutex::new(Some(target)),
                plan: Mutex::new(plan),
                answers: Mutex::new(answers),
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

    /// New connections go there; without a target they end at once.
    pub(super) fn aim(&self, target: Option<SocketAddr>) {
        *self.shared.target.lock().unwrap() = target;
    }

    pub(super) fn breaks_left(&self) -> usize {
        let left = |plan: &Mutex<Plan>| plan.lock().unwrap().breaks.len();
        left(&self.shared.plan) + left(&self.shared.answers)
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
    let Some(target) = *shared.target.lock().unwrap() else {
        return Ok(());
    };
    let target = small_socket()?.connect(target).await?;
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
    let mut pump = Pump::new(&shared.plan);
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
    let (mut pump, mut answers) = (Pump::new(&shared.plan), Pump::new(&shared.answers));
    let broken = tokio::select! {
        broken = pump.run(&mut program_reads, &mut peer_writes) => broken?,
        broken = answers.run(&mut peer_reads, &mut program_writes) => match broken {
            Ok(Some(end)) => Some(end),
            _ => return Ok(()),
        },
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
