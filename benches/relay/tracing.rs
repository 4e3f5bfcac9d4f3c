//! What tracing costs: the same transfer without it, at 1 % and at 100 % of the batches, with a collector that only takes and answers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use rustix::time::{ClockId, clock_gettime};

use super::through::{Passed, through_aqueduct};
use crate::support::Outcome;
use crate::support::figures::{Figures, Series, targets};
use crate::support::programs::Programs;

/// Shares of the batches that are traced; the first is what the others are held against.
const RATIOS: [f64; 3] = [0.0, 0.01, 1.0];

/// One transfer, and what its collector had of it.
struct Traced {
    passed: Passed,
    spans: f64,
    collector_cpu_seconds: f64,
}

/// Measures `rounds` of `bytes` with each ratio. Their order rotates, so that none is always the first on a machine that has just rested.
///
/// # Errors
/// When a program fails.
pub(crate) fn measure(programs: &Programs, rounds: usize, bytes: u64, figures: &mut Figures) -> Outcome<()> {
    let mut all: Vec<[Traced; 3]> = Vec::new();
    for round in 1..=rounds {
        let mut of_round = [None, None, None];
        for turn in 0..RATIOS.len() {
            let which = (round + turn) % RATIOS.len();
            let traced = transfer(programs, bytes, RATIOS[which])?;
            println!(
                "tracing, round {round}, ratio {}: {:.3} GB/s, {:.3} CPU s/GB; {} spans arrived, {:.3} CPU s for the collector",
                RATIOS[which],
                traced.passed.speed(),
                traced.passed.cpu_per_gigabyte(),
                traced.spans,
                traced.collector_cpu_seconds
            );
            of_round[which] = Some(traced);
        }
        let [Some(off), Some(few), Some(every)] = of_round else {
            return Err("a ratio was left out".into());
        };
        all.push([off, few, every]);
    }
    let series = |figure: &dyn Fn(&[Traced; 3]) -> f64| Series::new(all.iter().map(figure));
    // Medians of each against each other: what one transfer differs from the next would drown the cost in a ratio of every round.
    let speed = |which: usize| series(&|of: &[Traced; 3]| of[which].passed.speed());
    let cost = |which: usize| Series::new([100.0 * (1.0 - speed(which).median() / speed(0).median())]);
    figures.promised(&targets::TRACED_FEW, &cost(1));
    figures.promised(&targets::TRACED_EVERY, &cost(2));
    for (which, name) in ["no tracing", "tracing 1 %", "tracing 100 %"].into_iter().enumerate() {
        figures.seen(&format!("through Aqueduct, {name}"), "GB/s", &speed(which));
        let cpu = series(&|of: &[Traced; 3]| of[which].passed.cpu_per_gigabyte());
        figures.seen(&format!("CPU of Aqueduct, {name}"), "s/GB", &cpu);
    }
    figures.seen(
        "spans that arrived at 100 %",
        "",
        &series(&|of: &[Traced; 3]| of[2].spans),
    );
    let collector = series(&|of: &[Traced; 3]| of[2].collector_cpu_seconds / of[2].passed.gigabytes);
    figures.seen("CPU of the collector at 100 %", "s/GB", &collector);
    Ok(())
}

fn transfer(programs: &Programs, bytes: u64, ratio: f64) -> Outcome<Traced> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let endpoint = listener.local_addr()?;
    let (sender, taken) = channel();
    // It ends with the connection of the exporter, and waits for ever where there is none.
    std::thread::spawn(move || drop(collect(&listener, &sender)));
    let telemetry = if ratio > 0.0 {
        format!("[telemetry]\nendpoint = \"http://{endpoint}\"\nsample_ratio = {ratio:?}\n")
    } else {
        String::new()
    };
    let passed = through_aqueduct(programs, bytes, &telemetry)?;
    let (spans, collector_cpu_seconds) = if ratio > 0.0 { counted(&taken)? } else { (0.0, 0.0) };
    Ok(Traced {
        passed,
        spans,
        collector_cpu_seconds,
    })
}

/// The collector's work: the bodies of all requests, and at last the CPU time it took to take and to answer them.
enum Taken {
    Body(Vec<u8>),
    CpuSeconds(f64),
}

fn counted(taken: &Receiver<Taken>) -> Outcome<(f64, f64)> {
    let mut spans = 0;
    loop {
        match taken.recv_timeout(Duration::from_secs(10))? {
            Taken::Body(body) => {
                let request = ExportTraceServiceRequest::decode(&*body)?;
                let of_scopes = request.resource_spans.iter().flat_map(|of| &of.scope_spans);
                spans += of_scopes.map(|of| of.spans.len()).sum::<usize>();
            }
            Taken::CpuSeconds(seconds) => return Ok((spans as f64, seconds)),
        }
    }
}

/// Takes the requests of one connection and answers each at once.
fn collect(listener: &TcpListener, sender: &Sender<Taken>) -> Outcome<()> {
    let (stream, _) = listener.accept()?;
    let mut reader = BufReader::with_capacity(256 << 10, stream.try_clone()?);
    while let Some(body) = request(&mut reader)? {
        (&stream).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        sender.send(Taken::Body(body))?;
    }
    let used = clock_gettime(ClockId::ThreadCPUTime);
    sender.send(Taken::CpuSeconds(used.tv_sec as f64 + used.tv_nsec as f64 / 1e9))?;
    Ok(())
}

fn request(reader: &mut BufReader<TcpStream>) -> Outcome<Option<Vec<u8>>> {
    let (mut line, mut length) = (String::new(), 0);
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(body))
}
