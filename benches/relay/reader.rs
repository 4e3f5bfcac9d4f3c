//! The reader alone: a C source into Aqueduct's reader with framing and a sink that forgets, beside C loops that read.

use crate::support::Outcome;
use crate::support::aqueduct::Aqueduct;
use crate::support::figures::{Figures, Series, targets};
use crate::support::programs::Programs;

/// Measures `rounds` of `bytes` into each reader, by the time the source takes to get rid of them.
///
/// # Errors
/// When a program fails.
pub(crate) fn measure(programs: &Programs, rounds: usize, bytes: u64, figures: &mut Figures) -> Outcome<()> {
    let mut speeds = Vec::new();
    for round in 1..=rounds {
        let plain = into_c(programs, &[], bytes)?;
        let lines = into_c(programs, &["--lines"], bytes)?;
        let ours = into_aqueduct(programs, bytes)?;
        println!(
            "reader, round {round}: C loop {plain:.3} GB/s, C loop that finds lines {lines:.3} GB/s, Aqueduct {ours:.3} GB/s"
        );
        speeds.push([plain, lines, ours]);
    }
    let series = |figure: fn(&[f64; 3]) -> f64| Series::new(speeds.iter().map(figure));
    figures.promised(&targets::READER, &series(|[plain, _, ours]| ours / plain));
    figures.seen(
        "reader with framing, against a C read loop that finds lines",
        "x",
        &series(|[_, lines, ours]| ours / lines),
    );
    figures.seen("into Aqueduct's reader", "GB/s", &series(|[_, _, ours]| *ours));
    figures.seen("into the C read loop", "GB/s", &series(|[plain, _, _]| *plain));
    figures.seen(
        "into the C read loop that finds lines",
        "GB/s",
        &series(|[_, lines, _]| *lines),
    );
    Ok(())
}

fn into_c(programs: &Programs, arguments: &[&str], bytes: u64) -> Outcome<f64> {
    let mut reader = programs.start("read_loop", arguments)?;
    let port = reader.port()?;
    let speed = send(programs, &port, bytes)?;
    reader.finish()?;
    Ok(speed)
}

fn into_aqueduct(programs: &Programs, bytes: u64) -> Outcome<f64> {
    let folder = tempfile::tempdir()?;
    let aqueduct = Aqueduct::start(folder.path(), PIPELINE)?;
    let speed = send(programs, &aqueduct.port()?, bytes)?;
    aqueduct.says("finished at a frame's end")?;
    aqueduct.end()?;
    Ok(speed)
}

/// GB/s.
fn send(programs: &Programs, port: &str, bytes: u64) -> Outcome<f64> {
    let report = programs.run("source", &["--connect", port, "--bytes", &bytes.to_string()])?;
    Ok(report.number("bytes")? / 1e9 / report.number("seconds")?)
}

const PIPELINE: &str = r#"
flow = ["origin -> nowhere"]

[sources.origin]
type = "tcp_server"
listen = "127.0.0.1:0"

[sinks.nowhere]
type = "blackhole"
"#;
