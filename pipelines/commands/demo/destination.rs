//! Who gets the messages: a thread that reads, checks every message, and has moods.

use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use super::script::Script;
use super::sequence::{Checker, Sequence};

/// The most it reads at once.
const READ_BYTES: usize = 64 << 10;
/// The pace of a rate, and the longest it waits before it looks at the time.
const SLICE: Duration = Duration::from_millis(10);

/// What it does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Mood {
    /// Reads at its full speed.
    Reading,
    /// Is connected and reads nothing.
    Stalled,
    /// Reads slower than messages come.
    Slow,
    /// Has said goodbye, and reads what was sent to it until then.
    Leaving,
    /// Is not connected.
    Away,
    /// Is connected again and reads faster than messages come.
    Back,
}

const MOODS: [Mood; 6] = [
    Mood::Reading,
    Mood::Stalled,
    Mood::Slow,
    Mood::Leaving,
    Mood::Away,
    Mood::Back,
];

/// How far it is, seen from any thread.
#[derive(Debug, Default)]
pub(super) struct Progress {
    mood: AtomicU8,
    bytes: AtomicU64,
    last_number: AtomicU64,
}

impl Progress {
    pub(super) fn mood(&self) -> Mood {
        MOODS[usize::from(self.mood.load(Ordering::Relaxed)) % MOODS.len()]
    }

    /// Bytes read.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The highest number that arrived.
    pub(super) fn last_number(&self) -> u64 {
        self.last_number.load(Ordering::Relaxed)
    }

    fn feel(&self, mood: Mood) {
        self.mood.store(mood as u8, Ordering::Relaxed);
    }
}

/// The running thread.
pub(super) struct Destination {
    progress: Arc<Progress>,
    thread: JoinHandle<io::Result<Sequence>>,
}

impl Destination {
    /// Starts it with what it is to do.
    pub(super) fn spawn(act: impl FnOnce(&Progress) -> io::Result<Sequence> + Send + 'static) -> Self {
        let progress = Arc::new(Progress::default());
        let shown = progress.clone();
        Self {
            progress,
            thread: thread::spawn(move || act(&shown)),
        }
    }

    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When a connection failed that it had not left itself.
    pub(super) fn finish(self) -> Result<Sequence, String> {
        let ended = self
            .thread
            .join()
            .map_err(|_| "the destination panicked, which is a bug")?;
        ended.map_err(|error| format!("the destination's connection failed: {error}"))
    }
}

/// Takes one connection, keeps up for a while, stalls, and reads the rest.
pub(super) fn stalling(
    listener: &TcpListener,
    healthy: Duration,
    stall: Duration,
    progress: &Progress,
) -> io::Result<Sequence> {
    let (stream, _) = listener.accept()?;
    let mut visit = Visit::new(progress);
    if visit.read(&stream, f64::INFINITY, Some(healthy))? {
        progress.feel(Mood::Stalled);
        sleep(stall);
        progress.feel(Mood::Reading);
        visit.read(&stream, f64::INFINITY, None)?;
    }
    Ok(visit.checker.sequence)
}

/// Connects, is slow, leaves, stays away, comes back, and reads until the other side ends.
pub(super) fn leaving(address: SocketAddr, script: &Script, progress: &Progress) -> io::Result<Sequence> {
    let mut visit = Visit::new(progress);
    progress.feel(Mood::Slow);
    let stream = connect(address, script.patience)?;
    if visit.read(&stream, script.slow_rate, Some(script.slow))? {
        progress.feel(Mood::Leaving);
        // Leaving without reading what was sent would lose it: no sender can know about that without an answer.
        stream.shutdown(Shutdown::Write)?;
        visit.read(&stream, f64::INFINITY, Some(script.patience))?;
    }
    drop(stream);
    visit.checker.cut();
    progress.feel(Mood::Away);
    sleep(script.away);
    progress.feel(Mood::Back);
    let stream = connect(address, script.patience)?;
    visit.read(&stream, script.back_rate, None)?;
    Ok(visit.checker.sequence)
}

/// Connects as soon as somebody listens.
fn connect(address: SocketAddr, patience: Duration) -> io::Result<TcpStream> {
    let deadline = Instant::now() + patience;
    loop {
        match TcpStream::connect(address) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused && Instant::now() < deadline => sleep(SLICE),
            connected => return connected,
        }
    }
}

struct Visit<'a> {
    progress: &'a Progress,
    checker: Checker,
}

impl<'a> Visit<'a> {
    fn new(progress: &'a Progress) -> Self {
        Self {
            progress,
            checker: Checker::default(),
        }
    }

    /// Reads at `rate` bytes per second for `time`; false when the other side ended before.
    fn read(&mut self, mut stream: &TcpStream, rate: f64, time: Option<Duration>) -> io::Result<bool> {
        stream.set_read_timeout(Some(SLICE))?;
        let (began, mut taken, mut buffer) = (Instant::now(), 0.0, vec![0; READ_BYTES]);
        while time.is_none_or(|time| began.elapsed() < time) {
            let allowed = rate * began.elapsed().as_secs_f64() - taken;
            if allowed < 1.0 {
                sleep(SLICE);
                continue;
            }
            let room = allowed.min(READ_BYTES as f64) as usize;
            match stream.read(&mut buffer[..room]) {
                Ok(0) => return Ok(false),
                Ok(bytes) => {
                    taken += bytes as f64;
                    self.take(&buffer[..bytes]);
                }
                Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    fn take(&mut self, bytes: &[u8]) {
        self.checker.feed(bytes);
        self.progress.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.progress
            .last_number
            .store(self.checker.sequence.last(), Ordering::Relaxed);
    }
}
