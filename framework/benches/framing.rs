//! How fast frames are cut and written: 256 KiB reads of 100-byte frames, as the reader gives them to its cutter.

use std::hint::black_box;

use aqueduct_framework::framing::{Cutter, DynFraming, Limits, build};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use serde_json::{Value, json};

const READ_BYTES: usize = 256 * 1024;
const FRAME_BYTES: usize = 100;

fn framings() -> Vec<(&'static str, Value, usize)> {
    vec![
        ("delimited", json!({}), FRAME_BYTES - 1),
        ("delimited", json!({ "delimiter": "\r\n" }), FRAME_BYTES - 2),
        ("length_delimited", json!({ "header_bytes": 4 }), FRAME_BYTES - 4),
        ("fixed", json!({ "bytes": FRAME_BYTES }), FRAME_BYTES),
        ("none", json!({}), FRAME_BYTES),
    ]
}

fn built(name: &str, settings: &Value) -> Box<dyn DynFraming> {
    build(name, settings.clone()).expect("the options are right")
}

fn stream(framing: &dyn DynFraming, frame: &[u8]) -> Vec<u8> {
    let mut stream = Vec::with_capacity(READ_BYTES + FRAME_BYTES);
    while stream.len() < READ_BYTES {
        framing.encode(frame, &mut stream).expect("the frame fits");
    }
    stream.truncate(READ_BYTES);
    stream
}

fn cut(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cut");
    group.throughput(Throughput::Bytes(READ_BYTES as u64));
    for (name, settings, frame_bytes) in framings() {
        let framing = built(name, &settings);
        let read = stream(framing.as_ref(), &vec![b'x'; frame_bytes]);
        let mut cutter = Cutter::new(framing, Limits::default()).expect("the limits are right");
        let mut cuts = Vec::new();
        group.bench_function(BenchmarkId::new(name, settings), |bench| {
            bench.iter(|| {
                // The read ends in the middle of a frame that it begins with again: its lead is in place already.
                let lead = cutter.lead().len();
                cuts.clear();
                cutter
                    .cut(black_box(&read), lead, &mut cuts)
                    .expect("the stream is right");
                black_box(&cuts);
            });
        });
    }
    group.finish();
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    group.throughput(Throughput::Bytes(READ_BYTES as u64));
    for (name, settings, frame_bytes) in framings() {
        let framing = built(name, &settings);
        let frame = vec![b'x'; frame_bytes];
        let mut out = Vec::with_capacity(READ_BYTES + FRAME_BYTES);
        group.bench_function(BenchmarkId::new(name, settings), |bench| {
            bench.iter(|| {
                out.clear();
                while out.len() < READ_BYTES {
                    framing.encode(black_box(&frame), &mut out).expect("the frame fits");
                }
                black_box(&out);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, cut, encode);
criterion_main!(benches);
