//! What a processor costs per frame besides the plugin's own work: keep all, drop every other, and rewrite all frames of a 256 KiB
//! read of 100-byte lines.

use std::hint::black_box;

use aqueduct_framework::batch::Frame;
use aqueduct_framework::error::Result;
use aqueduct_framework::plugin::{Context, Output, Processor};
use aqueduct_framework::receipt::Receipt;
use aqueduct_framework::testing::{Host, lines};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde::Deserialize;
use serde_json::json;

const FRAMES: usize = 2_600;
const FRAME: [u8; 99] = [b'x'; 99];

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Work {
    KeepAll,
    DropHalf,
    RewriteAll,
}

impl Processor for Work {
    type Config = Work;
    const NAME: &'static str = "work";

    fn new(work: Work, _: &Context) -> Result<Self> {
        Ok(work)
    }

    fn frame(&mut self, frame: Frame<'_>, out: &mut Output) -> Result<()> {
        match self {
            Work::KeepAll => out.keep(frame),
            Work::DropHalf if frame.index() % 2 == 0 => out.keep(frame),
            Work::DropHalf => {}
            Work::RewriteAll => out.push(frame.bytes()),
        }
        Ok(())
    }
}

fn run(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime starts");
    let batch = lines([FRAME; FRAMES], 0, Receipt::none());
    let mut group = criterion.benchmark_group("processor");
    group.throughput(Throughput::Elements(FRAMES as u64));
    for work in ["keep_all", "drop_half", "rewrite_all"] {
        let mut host = Host::new::<Work>(&json!(work), &Context::new("bench", "work", "")).expect("it builds");
        group.bench_function(work, |bench| {
            bench.iter(|| {
                runtime
                    .block_on(host.run(black_box(batch.share(Receipt::none()))))
                    .expect("it runs")
            });
        });
    }
    // A second filter behind a first: the frames' numbers have a gap after each.
    let halves = lines([FRAME; FRAMES], 0, Receipt::none());
    let mut host = Host::new::<Work>(&json!("drop_half"), &Context::new("bench", "work", "")).expect("it builds");
    let half = runtime.block_on(host.run(halves)).expect("it runs").swap_remove(0).1;
    group.throughput(Throughput::Elements(half.len() as u64));
    group.bench_function("drop_half_of_half", |bench| {
        bench.iter(|| {
            runtime
                .block_on(host.run(black_box(half.share(Receipt::none()))))
                .expect("it runs")
        });
    });
    group.finish();
}

criterion_group!(benches, run);
criterion_main!(benches);
