//! `cargo bench --bench micro`: what single parts cost, so that a change of the relay's figures can be traced to one of them.
//! The framings have a benchmark beside them: `cargo bench -p aqueduct-framework --bench framing`.

mod mailbox;
mod processors;
mod recorder;

use criterion::{criterion_group, criterion_main};

criterion_group!(benches, mailbox::bench, processors::bench, recorder::bench);
criterion_main!(benches);
