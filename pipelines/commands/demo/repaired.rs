//! Act 2: the repaired reader, as `examples/readers/repaired_reader.py`: drains until EAGAIN within a byte budget, passes everything on,
//! and waits for its destination in the same thread.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::destination::{self, Destination, Mood};
use super::screen::Screen;
use super::script::Script;
use super::sequence::Sequence;
use super::server::{Legacy, Orders, Server};
use super::table::Row;
use crate::words::bytes;

/// The most it reads before it writes.
const BUDGET_BYTES: usize = 1 << 20;
/// The most it reads at once.
const READ_BYTES: usize = 256 << 10;
/// How often the live line is renewed.
const GLANCE: Duration = Duration::from_millis(100);

/// A reader that has not read for this long is held up.
const NOTABLE: Duration = Duration::from_millis(150);

/// What the reader shows while it runs.
#[derive(Default)]
struct Shown {
    passed_bytes: AtomicU64,
    /// Milliseconds since its start when it last came back from a read.
    last_read_ms: AtomicU64,
}

pub(super) fn play(screen: &mut Screen, script: &Script, legacy: &Legacy) -> Result<Row, String> {
    screen.title("Act 2. A repaired reader: drains the socket until EAGAIN, and passes everything on");
    let listener =
        TcpListener::bind(("127.0.0.1", 0)).map_err(|error| format!("the destination cannot listen: {error}"))?;
    let to = listener.local_addr().map_err(|error| error.to_string())?;
    let (healthy, stall) = (script.healthy, script.stall);
    let destination = Destination::spawn(move |progress| destination::stalling(&listener, healthy, stall, progress));
    let mut server = legacy.start(Orders {
        rate: script.rate,
        time: script.healthy + script.stall + script.patience,
        one_client: true,
    })?;
    let connect = |to| TcpStream::connect(to).map_err(|error| format!("the repaired reader cannot connect: {error}"));
    let (sink, source) = (connect(to)?, connect(([127, 0, 0, 1], server.port).into())?);
    let shown = Arc::new(Shown::default());
    let showing = shown.clone();
    let reader = thread::spawn(move || relay(source, sink, &showing));
    watch(screen, script, &shown, &destination, &mut server, || {
        reader.is_finished()
    });
    let gap = reader
        .join()
        .map_err(|_| "the repaired reader panicked, which is a bug")??;
    let arrived = destination.finish()?;
    let done = server.finish(script.patience)?;
    explain(screen, &server, &arrived, gap, done.sent_messages);
    screen.pause(script.pause);
    Ok(Row {
        reader: "2 repaired reader",
        closes: done.closed_on_eagain,
        closed_after: server
            .closed
            .as_ref()
            .map(|closed| Duration::from_secs_f64(closed.seconds)),
        gap,
        sent: done.sent_messages,
        cut: done.lost_messages,
        arrived,
    })
}

/// Passes bytes on until the stream ends; returns the longest gap between two reads.
fn relay(mut source: TcpStream, mut sink: TcpStream, shown: &Shown) -> Result<Duration, String> {
    let failed = |error: std::io::Error| format!("the repaired reader lost a connection: {error}");
    let began = Instant::now();
    let (mut buffer, mut longest, mut written) = (vec![0; BUDGET_BYTES], Duration::ZERO, Duration::ZERO);
    loop {
        // Waits for the first bytes of the turn.
        source.set_nonblocking(false).map_err(failed)?;
        let waited = source.peek(&mut [0]).map_err(failed);
        source.set_nonblocking(true).map_err(failed)?;
        // Without writing the reader is never away from its socket, so the write is the gap.
        longest = longest.max(written);
        shown
            .last_read_ms
            .store(began.elapsed().as_millis() as u64, Ordering::Relaxed);
        waited?;
        let (bytes, ended) = drain(&mut source, &mut buffer);
        let before = Instant::now();
        sink.write_all(&buffer[..bytes]).map_err(failed)?;
        written = before.elapsed();
        shown.passed_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        if ended {
            return Ok(longest.max(written));
        }
    }
}

/// Reads until EAGAIN or until the budget is used up; true when the stream has ended.
fn drain(source: &mut TcpStream, buffer: &mut [u8]) -> (usize, bool) {
    let mut filled = 0;
    while filled < buffer.len() {
        let end = buffer.len().min(filled + READ_BYTES);
        match source.read(&mut buffer[filled..end]) {
            Ok(0) => return (filled, true),
            Ok(bytes) => filled += bytes,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return (filled, false),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return (filled, true),
        }
    }
    (filled, false)
}

fn watch(
    screen: &mut Screen,
    script: &Script,
    shown: &Shown,
    destination: &Destination,
    server: &mut Server,
    finished: impl Fn() -> bool,
) {
    let began = Instant::now();
    let mut before = None;
    while !finished() {
        server.listen();
        let elapsed = began.elapsed();
        let unread = elapsed.saturating_sub(Duration::from_millis(shown.last_read_ms.load(Ordering::Relaxed)));
        let mood = destination.progress().mood();
        if before.replace(mood).is_some_and(|before| before != mood) {
            screen.end_line();
        }
        let state = match (mood, &server.closed) {
            (Mood::Stalled, Some(closed)) => format!(
                "destination stalls; the server has closed after {:.1} s",
                closed.seconds
            ),
            (Mood::Stalled, None) if unread < NOTABLE => "destination stalls; its buffers still take".to_owned(),
            (Mood::Stalled, None) => {
                format!(
                    "destination stalls; the reader waits for it, no read for {:.1} s",
                    unread.as_secs_f64()
                )
            }
            (_, Some(_)) => "destination reads again, too late".to_owned(),
            _ => "destination keeps up, so does the reader".to_owned(),
        };
        let passed = bytes(shown.passed_bytes.load(Ordering::Relaxed) as f64);
        screen.progress(&format!(
            "{:4.1} s   {passed:>8} passed on   {state}",
            elapsed.as_secs_f64()
        ));
        if elapsed > script.healthy + script.stall + script.patience {
            return;
        }
        thread::sleep(GLANCE);
    }
}

fn explain(screen: &mut Screen, server: &Server, arrived: &Sequence, gap: Duration, sent: u64) {
    let Some(closed) = server.closed.as_ref().filter(|closed| closed.reason == "EAGAIN") else {
        screen.say("The server did not close: the buffers of this machine are larger than the stall was long.");
        return;
    };
    screen.say(&format!(
        "Much better: {:.1} s, and all {} messages that were sent arrived ({} checked). But its own destination stalled, \
         its write waited for it, and for {:.1} s nobody read. The same buffers filled, and the server closed again: the \
         message in its hand and all that followed are lost. Draining moves the problem to wherever the bytes go next.",
        closed.seconds,
        super::table::grouped(sent),
        super::table::grouped(arrived.verified),
        gap.as_secs_f64(),
    ));
    screen.quiet("By hand: examples/readers/repaired_reader.py, with examples/readers/slow_consumer.py");
}
