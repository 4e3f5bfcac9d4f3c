//! A greenhouse: probes on a serial bus send readings, and a table keeps what they add up to.
//!
//! Read the files in the order of a reading's way: `probe.rs` (the framing), `bus.rs` (the source), `decode.rs` and `deadband.rs`
//! (processors), `table.rs` (the sink). `greenhouse.toml` puts them together.

mod bus;
mod deadband;
mod decode;
mod probe;
mod table;

use std::process::ExitCode;

// The whole program: all commands of `aqueduct`, all plugins that come with it, and these.
fn main() -> ExitCode {
    aqueduct::main(|plugins| {
        plugins
            .framing::<probe::Probe>()
            .source::<bus::Bus>()
            .processor::<decode::Decode>()
            .processor::<deadband::Deadband>()
            .sink::<table::Table>()
    })
}
