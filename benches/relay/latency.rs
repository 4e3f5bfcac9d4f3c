//! What a relay adds at low load: one line per millisecond, from this process through the relay and back to it.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::through::pipeline;
use crate::support::aqueduct::Aqueduct;
use crate::support::figures::{Figures, Series, targets};
use crate::support::programs::Programs;
use crate::support::{LINE_BYTES, Outcome};

/// The time between two lines.
const PAUSE: Duration = Duration::from_millis(1);

/// Lines at the beginning that do not count: connecting, first buffers, cold caches.
const WARM_UP: usize = 200;

/// Measures `rounds` of `messages`: directly, through the C relay, through Aqueduct.
///
/// # Errors
/// When a program fails, or a line does not come back.
pub(crate) fn measure(programs: &Programs, rounds: usize, messages: usize, figures: &mut Figures) -> Outcome<()> {
    let mut all = Vec::new();
    for round in 1..=rounds {
        let (back, port) = listen()?;
        let direct = probe(&port, &back, messages)?;
        let c = through_c(programs, messages)?;
        let ours = through_aqueduct(messages)?;
        for (name, delays) in [("direct", &direct), ("C relay", &c), ("Aqueduct", &ours)] {
            println!(
                "latency, round {round}, {name}: median {:.1} us, p99 {:.1} us",
                delays.median(),
                delays.quantile(0.99)
            );
        }
        all.push([direct, c, ours]);
    }
    let series = |figure: fn(&[Series; 3]) -> f64| Series::new(all.iter().map(figure));
    figures.promised(&targets::LATENCY, &series(|[_, c, ours]| ours.median() - c.median()));
    figures.seen(
        "the same at the 99th percentile",
        "us",
        &series(|[_, c, ours]| ours.quantile(0.99) - c.quantile(0.99)),
    );
    figures.seen(
        "median latency through Aqueduct",
        "us",
        &series(|[_, _, ours]| ours.median()),
    );
    figures.seen(
        "median latency through the C relay",
        "us",
        &series(|[_, c, _]| c.median()),
    );
    figures.seen(
        "median latency of a direct connection",
        "us",
        &series(|[direct, _, _]| direct.median()),
    );
    Ok(())
}

fn through_c(programs: &Programs, messages: usize) -> Outcome<Series> {
    let (back, destination) = listen()?;
    let mut relay = programs.start("relay", &["--destination", &destination])?;
    let delays = probe(&relay.port()?, &back, messages)?;
    relay.finish()?;
    Ok(delays)
}

fn through_aqueduct(messages: usize) -> Outcome<Series> {
    let (back, destination) = listen()?;
    let folder = tempfile::tempdir()?;
    let aqueduct = Aqueduct::start(folder.path(), &pipeline(&destination))?;
    let delays = probe(&aqueduct.port()?, &back, messages)?;
    aqueduct.end()?;
    Ok(delays)
}

fn listen() -> Outcome<(TcpListener, String)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port().to_string();
    Ok((listener, port))
}

/// The delays, in microseconds, of lines written to `port` that come back on `back`.
fn probe(port: &str, back: &TcpListener, messages: usize) -> Outcome<Series> {
    let to = TcpStream::connect(format!("127.0.0.1:{port}"))?;
    to.set_nodelay(true)?;
    let (from, _) = back.accept()?;
    let epoch = Instant::now();
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || write(&to, epoch, messages + WARM_UP));
        let delays = read(&from, epoch, messages + WARM_UP)?;
        writer.join().map_err(|_| "the writing thread panicked")??;
        Ok(Series::new(delays.into_iter().skip(WARM_UP)))
    })
}

/// Writes lines that carry the nanoseconds since `epoch` at which they were written.
fn write(mut to: &TcpStream, epoch: Instant, messages: usize) -> std::io::Result<()> {
    let width = LINE_BYTES as usize - 1;
    for _ in 0..messages {
        let line = format!("{:0width$}\n", epoch.elapsed().as_nanos());
        to.write_all(line.as_bytes())?;
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

fn read(from: &TcpStream, epoch: Instant, messages: usize) -> Outcome<Vec<f64>> {
    let mut reader = BufReader::new(from);
    let (mut line, mut delays) = (String::new(), Vec::with_capacity(messages));
    while delays.len() < messages {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err(format!("line {} of {messages} did not come back", delays.len()).into());
        }
        let now = epoch.elapsed().as_nanos();
        let sent: u128 = line.trim().parse()?;
        delays.push(now.saturating_sub(sent) as f64 / 1e3);
    }
    Ok(delays)
}
