//! Two actors on one Arbiter: batches one way under demand, grants the other.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use aqueduct::framework::batch::{Attributes, Batch, Layout, Numbers};
use aqueduct::framework::mailbox::{Arrival, Edge, EdgeMeters, Granted, Inbox, Outlet};
use aqueduct::framework::receipt::{Fate, Receipt};
use bytes::Bytes;
use criterion::{Criterion, Throughput};
use tokio::sync::oneshot;

const EDGE: u32 = 0;
const WINDOW_BYTES: usize = 2 * 1024 * 1024;
const BATCH_BYTES: usize = 256 * 1024;

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mailbox");
    group.throughput(Throughput::Elements(1));
    let system = System::new();
    group.bench_function("batch of 256 KiB under demand", |bench| {
        bench.iter_custom(|batches| system.block_on(pass(batches)));
    });
    group.finish();
}

async fn pass(batches: u64) -> Duration {
    let (done, finished) = oneshot::channel();
    let taker = Taker {
        inbox: Inbox::new(&[EDGE], WINDOW_BYTES),
        done: Some(done),
    };
    let edge = Edge {
        id: EDGE,
        to: taker.start().recipient(),
        meters: EdgeMeters::default(),
    };
    let began = Instant::now();
    Giver {
        outlet: Outlet::new(vec![edge]),
        batches,
    }
    .start();
    // The sender only goes when the taker is done.
    let _ = finished.await;
    began.elapsed()
}

/// Sends as fast as it may.
struct Giver {
    outlet: Rc<Outlet>,
    batches: u64,
}

impl Actor for Giver {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.outlet.join(&ctx.address().recipient());
        let (outlet, batches) = (self.outlet.clone(), self.batches);
        let work = async move {
            let batch = batch();
            for _ in 0..batches {
                outlet.permit().await;
                outlet.send(batch.share(Receipt::none()));
            }
            outlet.finish();
        };
        ctx.spawn(work.into_actor(self).map(|(), _, ctx| ctx.stop()));
    }
}

impl Handler<Granted> for Giver {
    type Result = ();

    fn handle(&mut self, granted: Granted, _: &mut Self::Context) {
        self.outlet.grant(granted);
    }
}

/// Takes as fast as it can.
struct Taker {
    inbox: Rc<Inbox>,
    done: Option<oneshot::Sender<()>>,
}

impl Actor for Taker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let inbox = self.inbox.clone();
        let work = async move {
            inbox.open();
            while let Some(mut held) = inbox.next().await {
                if let Some(batch) = held.take() {
                    batch.receipt.settle(Fate::Delivered);
                }
            }
        };
        ctx.spawn(work.into_actor(self).map(|(), taker, ctx| {
            drop(taker.done.take());
            ctx.stop();
        }));
    }
}

impl Handler<Arrival> for Taker {
    type Result = ();

    fn handle(&mut self, arrival: Arrival, _: &mut Self::Context) {
        self.inbox.take(arrival);
    }
}

fn batch() -> Batch {
    let frames = (BATCH_BYTES / 100) as u32;
    Batch {
        payload: Bytes::from(vec![b'.'; BATCH_BYTES]),
        ends: Arc::new((1..=frames).map(|frame| frame * 100).collect()),
        layout: Layout::default(),
        numbers: Numbers::new("pump".into(), 1, 0, frames),
        attributes: Attributes::default(),
        trace: None,
        received_ns: 0,
        wait: Default::default(),
        position: None,
        pinned: BATCH_BYTES,
        receipt: Receipt::none(),
    }
}
