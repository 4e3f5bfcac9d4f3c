//! `cargo bench --bench relay`: Aqueduct beside plain C programs, in turn, on the same stream over loopback.
//!
//! Options behind `--`: `--rounds`, `--gigabytes` of each transfer, `--messages` of each latency run. Nothing here touches the disk.
//! `--only through`, `settled`, `reader`, `latency` or `tracing` measures that part alone.

#[path = "../support/mod.rs"]
mod support;

mod latency;
mod reader;
mod settled;
mod through;
mod tracing;

use support::Outcome;
use support::figures::Figures;
use support::machine;
use support::options::Options;
use support::programs::Programs;

fn main() -> Outcome<()> {
    let defaults = [("rounds", 5.0), ("gigabytes", 4.0), ("messages", 2_000.0)];
    let Some(options) = Options::read(&defaults)? else {
        println!("relay: measured by `cargo bench --bench relay` only");
        return Ok(());
    };
    let programs = Programs::build()?;
    let (rounds, messages) = (options.count("rounds").max(1), options.count("messages").max(1));
    let bytes = (options.get("gigabytes").max(0.001) * 1e9) as u64;
    println!("{}", machine::describe());
    let mut figures = Figures::default();
    if options.includes("through") {
        through::measure(&programs, rounds, bytes, &mut figures)?;
    }
    if options.includes("settled") {
        settled::measure(&programs, rounds, bytes, &mut figures)?;
    }
    if options.includes("reader") {
        reader::measure(&programs, rounds, bytes, &mut figures)?;
    }
    if options.includes("latency") {
        latency::measure(&programs, rounds, messages, &mut figures)?;
    }
    if options.includes("tracing") {
        tracing::measure(&programs, rounds, bytes, &mut figures)?;
    }
    figures.print();
    Ok(())
}
