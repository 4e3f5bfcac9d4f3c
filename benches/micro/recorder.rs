//! What the flight recorder of a connection costs: at most once per turn of reading, and once per slot of 100 ms.
//!
//! The relay of `cargo bench --bench relay` takes about 100 us for a read of 256,000 bytes, so 1 us per turn is 1 % of its throughput.

use std::hint::black_box;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use aqueduct::framework::flight::{Recorder, Sample};
use aqueduct_sys::socket;
use criterion::{Criterion, Throughput};

const READ_BYTES: u64 = 256_000;

pub(crate) fn bench(criterion: &mut Criterion) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let stream = TcpStream::connect(address).expect("it listens");
    let mut group = criterion.benchmark_group("flight recorder");
    group.throughput(Throughput::Elements(1));
    group.bench_function("turn of reading", |bench| {
        let (mut recorder, began) = (Recorder::default(), Instant::now());
        bench.iter(|| turn(&mut recorder, &stream, began));
    });
    group.bench_function("look at the kernel's queues", |bench| {
        let (mut recorder, began) = (Recorder::default(), Instant::now());
        bench.iter(|| look(&mut recorder, &stream, began));
    });
    group.finish();
}

/// The clock when the first bytes came and when the turn ended, what the first read left behind, and the entry.
fn turn(recorder: &mut Recorder, stream: &TcpStream, began: Instant) {
    let first = Instant::now();
    let behind = socket::unread_bytes(stream).unwrap_or(0);
    let last = Instant::now();
    let gap = last.duration_since(first) + Duration::from_nanos(black_box(behind));
    recorder.read(ms(last, began), READ_BYTES, 1, gap.as_millis() as u64, 0);
    recorder.replied(ms(last, began), 0);
}

fn look(recorder: &mut Recorder, stream: &TcpStream, began: Instant) {
    let now = Instant::now();
    let Ok(info) = socket::tcp_info(stream) else { return };
    let waiting = socket::unread_bytes(stream).unwrap_or(0);
    let sample = Sample {
        waiting,
        room: waiting + info.rcv_wnd.map_or(0, u64::from),
        retransmits: info.total_retransmits,
        ..Sample::default()
    };
    recorder.sample(ms(now, began), &sample, None);
}

fn ms(at: Instant, began: Instant) -> u64 {
    at.duration_since(began).as_millis() as u64
}
