//! Act 1: the naive reader, as `examples/readers/naive_reader.py`: a few bytes, half a second of work, a reply, and again.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use aqueduct_sys::socket::unread_bytes;

use super::screen::Screen;
use super::script::Script;
use super::sequence::Checker;
use super::server::{Legacy, Orders, Server};
use super::table::Row;
use crate::words::bytes;

/// How often the live line is renewed.
const GLANCE: Duration = Duration::from_millis(100);

/// What the reader saw.
struct Seen {
    read_bytes: usize,
    checker: Checker,
    /// What it was told in the end, and when.
    end: String,
    lasted: Duration,
}

pub(super) fn play(screen: &mut Screen, script: &Script, legacy: &Legacy) -> Result<Row, String> {
    screen.title("Act 1. A naive reader: takes 13 bytes, works for half a second, takes the next 13");
    let mut server = legacy.start(Orders {
        rate: script.rate,
        time: script.patience,
        one_client: true,
    })?;
    let stream = TcpStream::connect(("127.0.0.1", server.port));
    let stream = stream.map_err(|error| format!("the naive reader cannot connect: {error}"))?;
    let glance = stream.try_clone().map_err(|error| error.to_string())?;
    let (read_bytes, work) = (script.naive_read_bytes, script.naive_work);
    let reader = thread::spawn(move || read(stream, read_bytes, work));
    watch(screen, &glance, &mut server, || reader.is_finished());
    let seen = reader.join().map_err(|_| "the naive reader panicked, which is a bug")?;
    drop(glance);
    let done = server.finish(script.patience)?;
    explain(screen, &server, &seen);
    screen.pause(script.pause);
    Ok(Row {
        reader: "1 naive reader",
        closes: done.closed_on_eagain,
        closed_after: server
            .closed
            .as_ref()
            .map(|closed| Duration::from_secs_f64(closed.seconds)),
        gap: script.naive_work,
        sent: done.sent_messages,
        cut: done.lost_messages,
        arrived: seen.checker.sequence,
    })
}

fn read(mut stream: TcpStream, read_bytes: usize, work: Duration) -> Seen {
    let began = Instant::now();
    let mut seen = Seen {
        read_bytes: 0,
        checker: Checker::default(),
        end: String::new(),
        lasted: Duration::ZERO,
    };
    let mut buffer = vec![0; read_bytes];
    seen.end = loop {
        match stream.read(&mut buffer) {
            Ok(0) => break "recv() returned nothing".to_owned(),
            Ok(bytes) => {
                seen.read_bytes += bytes;
                seen.checker.feed(&buffer[..bytes]);
            }
            Err(error) => break failed("recv()", &error),
        }
        thread::sleep(work);
        if let Err(error) = stream.write_all(b"ok\n") {
            break failed("send() of its reply", &error);
        }
    };
    seen.lasted = began.elapsed();
    seen
}

fn failed(what: &str, error: &io::Error) -> String {
    let number = error.raw_os_error().unwrap_or(0);
    let name = match number {
        104 => " ECONNRESET",
        107 => " ENOTCONN",
        32 => " EPIPE",
        _ => "",
    };
    format!("{what} failed with errno {number}{name}")
}

fn watch(screen: &mut Screen, glance: &TcpStream, server: &mut Server, finished: impl Fn() -> bool) {
    let began = Instant::now();
    while !finished() {
        let before = server.closed.is_some();
        server.listen();
        if server.closed.is_some() != before {
            screen.end_line();
        }
        let state = match &server.closed {
            None => "working".to_owned(),
            Some(closed) => format!(
                "the server closed after {:.1} s; the reader works on and does not know",
                closed.seconds
            ),
        };
        let waiting = bytes(unread_bytes(glance).unwrap_or(0) as f64);
        let elapsed = began.elapsed().as_secs_f64();
        screen.progress(&format!(
            "{elapsed:4.1} s   {waiting:>8} wait unread in its socket   reader: {state}"
        ));
        thread::sleep(GLANCE);
    }
}

fn explain(screen: &mut Screen, server: &Server, seen: &Seen) {
    let Some(closed) = server.closed.as_ref().filter(|closed| closed.reason == "EAGAIN") else {
        screen.say("The server did not close: the buffers of this machine are larger than the act is long.");
        return;
    };
    screen.say(&format!(
        "The server closed after {:.1} s. It had pushed {}; the reader had taken {} bytes of that. The rest filled the \
         reader's receive buffer, the window fell to zero, the server's send buffer filled too ({} in it), send() \
         said EAGAIN. The reader noticed after {:.1} s, in another place: {}.{}",
        closed.seconds,
        bytes(closed.sent_bytes as f64),
        seen.read_bytes,
        bytes(closed.unacknowledged_bytes as f64),
        seen.lasted.as_secs_f64(),
        seen.end,
        if closed.unread_reply_bytes > 0 {
            "\nIts replies lay unread at the server, so the close was a reset, which threw away the send buffer as well."
        } else {
            ""
        }
    ));
    screen.quiet("By hand: examples/readers/naive_reader.py");
}
