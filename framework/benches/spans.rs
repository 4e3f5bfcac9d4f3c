//! What spans cost one batch of 256 KB on its way through a reader, a processor and a sender, beside everything else that happens to it.
//!
//! The collector is away, as in an outage: what is measured is what the data path pays, the queue included.

use std::hint::black_box;

use aqueduct_framework::batch::{Attributes, Batch, BatchBuilder, Numbers};
use aqueduct_framework::config::TelemetryConfig;
use aqueduct_framework::receipt::Receipt;
use aqueduct_framework::telemetry::{Export, Spans, Tracer, now_ns};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

const LINES: u64 = 2_560;

fn batch() -> Batch {
    let mut builder = BatchBuilder::new(&Numbers::new("source".into(), 1, 0, 0));
    for number in 0..LINES {
        builder.push_span(format!("{number:010} {}", "x".repeat(89)).as_bytes(), number);
    }
    let peer = [("peer.address".to_owned(), "127.0.0.1:9000".to_owned())];
    builder.batch_attributes(Attributes::of_batch(peer));
    builder.finish(now_ns(), None, Receipt::none())
}

fn way(tracers: &[Tracer; 3], batch: &Batch) {
    let mut batch = batch.share(Receipt::none());
    batch.received_ns = now_ns();
    tracers[0].receive(&mut batch);
    drop(tracers[1].process(&mut batch));
    drop(tracers[2].send(&mut batch));
    black_box(batch);
}

fn spans(criterion: &mut Criterion) {
    let batch = batch();
    let mut group = criterion.benchmark_group("spans");
    let followed = "messages = { id = '^(\\d+) ', match = ' y' }";
    for (name, keys) in [
        ("off", None),
        ("none", Some("sample_ratio = 0")),
        ("a_hundredth", Some("sample_ratio = 0.01")),
        ("all", Some("")),
        ("none_but_messages", Some(&*format!("sample_ratio = 0\n{followed}"))),
    ] {
        let config = keys.map(|keys| format!("endpoint = 'http://127.0.0.1:9'\n{keys}"));
        let config = config.map(|text| toml::from_str::<TelemetryConfig>(&text).unwrap_or_default());
        let export = config.and_then(|config| Export::start(&config).ok().flatten());
        let spans = export.as_ref().map_or_else(Spans::default, Export::spans);
        let tracers = ["reader", "process", "network"].map(|actor| Tracer::new(actor, &spans));
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| way(&tracers, &batch));
        });
    }
}

criterion_group!(benches, spans);
criterion_main!(benches);
