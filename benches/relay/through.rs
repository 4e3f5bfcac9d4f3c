//! TCP in, TCP out: a C source, then the C relay or Aqueduct with framing and a processor, then a C sink that costs nothing.

use crate::support::aqueduct::Aqueduct;
use crate::support::figures::{Figures, Series, targets};
use crate::support::process::Usage;
use crate::support::programs::Programs;
use crate::support::{LINE_BYTES, Outcome};

/// One transfer through one relay.
pub(crate) struct Passed {
    pub(crate) gigabytes: f64,
    seconds: f64,
    usage: Usage,
}

impl Passed {
    /// GB/s.
    pub(crate) fn speed(&self) -> f64 {
        self.gigabytes / self.seconds
    }

    /// CPU seconds.
    pub(crate) fn cpu_per_gigabyte(&self) -> f64 {
        self.usage.cpu_seconds / self.gigabytes
    }
}

/// Measures `rounds` pairs of transfers of `bytes`.
///
/// # Errors
/// When a program fails, or bytes are missing at the sink.
pub(crate) fn measure(programs: &Programs, rounds: usize, bytes: u64, figures: &mut Figures) -> Outcome<()> {
    let mut pairs = Vec::new();
    for round in 1..=rounds {
        let c = through_c(programs, bytes)?;
        let ours = through_aqueduct(programs, bytes, "")?;
        println!(
            "through, round {round}: C {:.3} GB/s, {:.3} CPU s/GB; Aqueduct {:.3} GB/s, {:.3} CPU s/GB; ratio {:.3}",
            c.speed(),
            c.cpu_per_gigabyte(),
            ours.speed(),
            ours.cpu_per_gigabyte(),
            ours.speed() / c.speed()
        );
        pairs.push((c, ours));
    }
    let series = |figure: fn(&(Passed, Passed)) -> f64| Series::new(pairs.iter().map(figure));
    figures.promised(&targets::THROUGH, &series(|(c, ours)| ours.speed() / c.speed()));
    figures.promised(
        &targets::CPU,
        &series(|(c, ours)| ours.cpu_per_gigabyte() / c.cpu_per_gigabyte()),
    );
    let lines = series(|(_, ours)| ours.speed() * 1e3 / LINE_BYTES as f64);
    figures.promised(&targets::LINES, &lines);
    figures.seen("through Aqueduct", "GB/s", &series(|(_, ours)| ours.speed()));
    figures.seen("through the C relay", "GB/s", &series(|(c, _)| c.speed()));
    figures.seen("CPU of Aqueduct", "s/GB", &series(|(_, ours)| ours.cpu_per_gigabyte()));
    figures.seen("CPU of the C relay", "s/GB", &series(|(c, _)| c.cpu_per_gigabyte()));
    figures.seen("peak memory of Aqueduct", "MiB", &series(|(_, ours)| mebibytes(ours)));
    figures.seen("peak memory of the C relay", "MiB", &series(|(c, _)| mebibytes(c)));
    Ok(())
}

fn mebibytes(passed: &Passed) -> f64 {
    passed.usage.peak_bytes / f64::from(1 << 20)
}

fn through_c(programs: &Programs, bytes: u64) -> Outcome<Passed> {
    let mut sink = programs.start("sink", &["--truncate"])?;
    let mut relay = programs.start("relay", &["--destination", &sink.port()?])?;
    programs.run("source", &["--connect", &relay.port()?, "--bytes", &bytes.to_string()])?;
    let (relay, sink) = (relay.finish()?, sink.finish()?);
    Ok(Passed {
        gigabytes: sink.number("bytes")? / 1e9,
        seconds: sink.number("seconds")?,
        usage: Usage {
            cpu_seconds: relay.number("cpu_seconds")?,
            peak_bytes: relay.number("peak_resident_bytes")?,
        },
    })
}

/// One transfer through Aqueduct; `tables` are put behind the pipeline's.
///
/// # Errors
/// When a program fails, or bytes are missing at the sink.
pub(crate) fn through_aqueduct(programs: &Programs, bytes: u64, tables: &str) -> Outcome<Passed> {
    let mut sink = programs.start("sink", &["--truncate"])?;
    let folder = tempfile::tempdir()?;
    let aqueduct = Aqueduct::start(folder.path(), &(pipeline(&sink.port()?) + tables))?;
    let source = programs.run(
        "source",
        &["--connect", &aqueduct.port()?, "--bytes", &bytes.to_string()],
    )?;
    aqueduct.says("finished at a frame's end")?;
    let usage = aqueduct.end()?;
    let sink = sink.finish()?;
    if sink.number("bytes")? < source.number("bytes")? {
        return Err(format!(
            "{} bytes came, {} were sent",
            sink.number("bytes")?,
            source.number("bytes")?
        )
        .into());
    }
    Ok(Passed {
        gigabytes: sink.number("bytes")? / 1e9,
        seconds: sink.number("seconds")?,
        usage,
    })
}

/// A pipeline that keeps every line: the filter's worst case, since it has to look at each and pass it on.
pub(crate) fn pipeline(destination: &str) -> String {
    format!(
        r#"
flow = ["origin -> process -> network"]

[sources.origin]
type = "tcp_server"
listen = "127.0.0.1:0"

[processors.process]
type = "filter"
contains = "no line contains this"
mode = "drop"

[sinks.network]
type = "tcp_client"
address = "127.0.0.1:{destination}"
"#
    )
}
