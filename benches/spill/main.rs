//! `cargo bench --bench spill`: the spill store with every batch committed, beside a C program that appends and syncs.
//!
//! Options behind `--`: `--rounds`, `--gigabytes` of each, `--commit-mib` (the same for both). The disk is the one Cargo's target folder lies on. A round: the C program appends;
//! Aqueduct takes the same bytes while its destination is absent; it is killed, reopens the store, the destination
//! comes back and gets every line in order. At last the same bytes go over a `link` from store to store, and on to the destination.

#[path = "../support/mod.rs"]
mod support;

use std::net::TcpListener;
use std::path::Path;
use std::time::Instant;

use support::aqueduct::Aqueduct;
use support::figures::{Figures, Series, targets};
use support::options::Options;
use support::programs::Programs;
use support::{LINE_BYTES, Outcome, lines, machine};

/// What the store may keep in memory; its peak is measured above this.
const MEMORY_MIB: u32 = 8;

fn main() -> Outcome<()> {
    let Some(options) = Options::read(&[("rounds", 3.0), ("gigabytes", 2.0), ("commit-mib", 4.0)])? else {
        println!("spill: measured by `cargo bench --bench spill` only");
        return Ok(());
    };
    let programs = Programs::build()?;
    let commit_bytes = options.count("commit-mib").max(1) << 20;
    let count = (options.get("gigabytes").max(0.001) * 1e9) as u64 / LINE_BYTES;
    println!("{}", machine::describe());
    let mut rounds = Vec::new();
    for number in 1..=options.count("rounds").max(1) {
        let round = Round::measure(&programs, count, commit_bytes)?;
        println!("spill, round {number}: {round:?}");
        rounds.push(round);
    }
    figures(&rounds).print();
    Ok(())
}

/// What one round showed. Speeds in MB/s.
#[derive(Debug)]
struct Round {
    append: f64,
    into: f64,
    out_of: f64,
    start_ms: f64,
    reopen_ms: f64,
    disk_bytes_per_line: f64,
    peak_mib: f64,
    linked: f64,
}

fn figures(rounds: &[Round]) -> Figures {
    let series = |figure: fn(&Round) -> f64| Series::new(rounds.iter().map(figure));
    let mut figures = Figures::default();
    figures.promised(&targets::SPILL, &series(|round| round.into / round.append));
    figures.promised(&targets::REOPEN, &series(|round| round.reopen_ms));
    figures.promised(
        &targets::MEMORY,
        &series(|round| round.peak_mib - f64::from(MEMORY_MIB)),
    );
    figures.promised(&targets::LINES_IN, &series(|round| round.into / LINE_BYTES as f64));
    figures.promised(&targets::LINES_OUT, &series(|round| round.out_of / LINE_BYTES as f64));
    figures.promised(&targets::DISK, &series(|round| round.disk_bytes_per_line));
    figures.seen("append + fdatasync in C", "MB/s", &series(|round| round.append));
    figures.seen("into the store", "MB/s", &series(|round| round.into));
    figures.seen("out of the store", "MB/s", &series(|round| round.out_of));
    figures.seen(
        "lines from store to store over a link",
        "M/s",
        &series(|round| round.linked / LINE_BYTES as f64),
    );
    figures.seen("start with an empty store", "ms", &series(|round| round.start_ms));
    figures
}

impl Round {
    fn measure(programs: &Programs, count: u64, commit_bytes: usize) -> Outcome<Self> {
        let bytes = count * LINE_BYTES;
        // Not in /tmp, which may be memory.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let append = append(programs, folder.path(), bytes, commit_bytes)?;
        let destination = Destination::reserve()?;
        let pipeline = pipeline("tcp_server", &destination.port, "tcp_client", commit_bytes);
        let began = Instant::now();
        let aqueduct = Aqueduct::start(folder.path(), &pipeline)?;
        let port = aqueduct.port()?;
        let start_ms = began.elapsed().as_secs_f64() * 1e3;
        let began = Instant::now();
        lines::write(&port, count)?;
        let into = bytes as f64 / 1e6 / began.elapsed().as_secs_f64();
        // Settled at the source means committed; what a kill would lose must not be missed afterwards.
        aqueduct.reaches("origin", "settled", count)?;
        let peak_mib = aqueduct.usage()?.peak_bytes / f64::from(1 << 20);
        aqueduct.kill()?;
        let disk_bytes_per_line = allocated(&folder.path().join("store"))? / count as f64;
        let began = Instant::now();
        let aqueduct = Aqueduct::start(folder.path(), &pipeline)?;
        aqueduct.port()?;
        let reopen_ms = began.elapsed().as_secs_f64() * 1e3;
        let checked = lines::check(&mut destination.listen()?, count)?;
        aqueduct.end()?;
        Ok(Self {
            append,
            into,
            out_of: bytes as f64 / 1e6 / checked.seconds,
            start_ms,
            reopen_ms,
            disk_bytes_per_line,
            peak_mib,
            linked: linked(count, commit_bytes)?,
        })
    }
}

/// MB/s, from the first byte into the first store to the last out of the second one.
fn linked(count: u64, commit_bytes: usize) -> Outcome<f64> {
    let (near, far) = (
        tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?,
        tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?,
    );
    let destination = TcpListener::bind("127.0.0.1:0")?;
    let port = destination.local_addr()?.port().to_string();
    let receiver = Aqueduct::start(far.path(), &pipeline("link", &port, "tcp_client", commit_bytes))?;
    let sender = pipeline("tcp_server", &receiver.port()?, "link", commit_bytes);
    let sender = Aqueduct::start(near.path(), &sender)?;
    let port = sender.port()?;
    let began = Instant::now();
    let writer = std::thread::spawn(move || lines::write(&port, count).map_err(|error| error.to_string()));
    lines::check(&mut destination.accept()?.0, count)?;
    let seconds = began.elapsed().as_secs_f64();
    writer.join().map_err(|_| "the writer panicked")??;
    sender.end()?;
    receiver.end()?;
    Ok((count * LINE_BYTES) as f64 / 1e6 / seconds)
}

/// MB/s.
fn append(programs: &Programs, folder: &Path, bytes: u64, commit_bytes: usize) -> Outcome<f64> {
    let file = folder.join("appended").display().to_string();
    let report = programs.run(
        "append",
        &[
            "--file",
            &file,
            "--bytes",
            &bytes.to_string(),
            "--commit-bytes",
            &commit_bytes.to_string(),
        ],
    )?;
    report.number("megabytes_per_second")
}

/// A port that nobody listens on for now.
struct Destination {
    port: String,
}

impl Destination {
    fn reserve() -> Outcome<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
        Ok(Self { port })
    }

    /// The destination comes back, and waits until it is connected to.
    fn listen(&self) -> Outcome<std::net::TcpStream> {
        Ok(TcpListener::bind(format!("127.0.0.1:{}", self.port))?.accept()?.0)
    }
}

/// Bytes of the blocks allocated to a folder's files.
fn allocated(folder: &Path) -> Outcome<f64> {
    use std::os::unix::fs::MetadataExt;
    let mut blocks = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        blocks += if entry.file_type()?.is_dir() {
            allocated(&entry.path())? as u64 / 512
        } else {
            entry.metadata()?.blocks()
        };
    }
    Ok(blocks as f64 * 512.0)
}

fn pipeline(source: &str, destination: &str, sink: &str, commit_bytes: usize) -> String {
    format!(
        r#"
flow = ["origin -> drain -> network"]

[sources.origin]
type = "{source}"
listen = "127.0.0.1:0"

[spills.drain]
directory = "store"
persist = "always"
memory_bytes = "{MEMORY_MIB} MiB"
commit_bytes = {commit_bytes}
max_bytes = "64 GiB"

[sinks.network]
type = "{sink}"
address = "127.0.0.1:{destination}"
retry = {{ max = "100 ms" }}
"#
    )
}
