//! How fast `filter` looks through 100-byte lines of a 256 KiB read: none, some and all of them hold the text.

use std::hint::black_box;

use aqueduct_framework::plugin::Context;
use aqueduct_framework::receipt::Receipt;
use aqueduct_framework::testing::{Host, lines};
use aqueduct_plugins::processors::filter::Filter;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;

const FRAMES: usize = 2_600;

fn run(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime starts");
    let mut group = criterion.benchmark_group("filter");
    group.throughput(Throughput::Bytes(FRAMES as u64 * 100));
    for (holds, one_in) in [("none", usize::MAX), ("one in 10", 10), ("all", 1)] {
        let frames = (0..FRAMES).map(|n| match (n + 1) % one_in {
            0 => format!("{n:0>60} an ERROR in the line {:a<17}", ""),
            _ => format!("{n:0>60} all is well in it    {:a<17}", ""),
        });
        let batch = lines(frames, 0, Receipt::none());
        for (option, mode) in [("contains", "keep"), ("contains", "drop"), ("matches", "keep")] {
            let options = json!({ option: "ERROR", "mode": mode });
            let mut host = Host::new::<Filter>(&options, &Context::new("bench", "filter", "")).expect("it builds");
            group.bench_function(BenchmarkId::new(format!("{option} {mode}"), holds), |bench| {
                bench.iter(|| {
                    runtime
                        .block_on(host.run(black_box(batch.share(Receipt::none()))))
                        .expect("it runs")
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, run);
criterion_main!(benches);
