//! What the codec of spill records costs: header, lengths and checksum of 256 KB batches of 100-byte lines, both ways.

use std::convert::Infallible;
use std::hint::black_box;

use aqueduct_framework::batch::{Batch, BatchBuilder, Numbers};
use aqueduct_framework::receipt::Receipt;
use aqueduct_framework::spill::record::{Packer, decode};
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const LINES: u64 = 2_560;
const LINE_BYTES: usize = 100;

fn batch() -> Batch {
    let mut builder = BatchBuilder::new(&Numbers::new("source".into(), 1, 0, 0));
    for number in 0..LINES {
        builder.push_span(&[b'x'; LINE_BYTES], number);
    }
    builder.finish(0, None, Receipt::none())
}

fn encode(packer: &mut Packer, batch: &Batch, emit: &mut impl FnMut(u64, &[u8])) {
    let mut emit = |key, value: &[u8]| {
        emit(key, value);
        Ok::<_, Infallible>(())
    };
    let packed = packer.push(0, batch, &mut emit).and_then(|()| packer.flush(&mut emit));
    packed.unwrap_or_else(|never| match never {});
}

fn codec(criterion: &mut Criterion) {
    let batch = batch();
    let mut group = criterion.benchmark_group("record");
    group.throughput(Throughput::Bytes(LINES * LINE_BYTES as u64));
    let mut packer = Packer::default();
    group.bench_function("encode", |bencher| {
        bencher.iter(|| {
            encode(&mut packer, black_box(&batch), &mut |key, value| {
                black_box((key, value.len()));
            })
        });
    });
    let mut records = Vec::new();
    encode(&mut packer, &batch, &mut |key, value| {
        records.push((key, Bytes::copy_from_slice(value)))
    });
    group.bench_function("decode", |bencher| {
        bencher.iter(|| {
            for (key, value) in &records {
                black_box(decode(*key, value).is_ok());
            }
        });
    });
    group.finish();
}

criterion_group!(benches, codec);
criterion_main!(benches);
