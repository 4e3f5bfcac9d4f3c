//! The real actor on real files, between an upstream actor of the test and readers.

use std::path::Path;
use std::rc::Rc;
use std::sync::Mutex;

use super::*;
use crate::actors::spill::tests::{Nobody, PER_BATCH, Upstream, batch};
use crate::actors::{Ended, Order};
use crate::error::Reaction;
use crate::mailbox::{Edge, EdgeMeters, Outlet};
use crate::plugin::store_reader::Link;
use crate::plugin::{Context as PluginContext, ReadCursor, StoreReader};
use crate::receipt::Ledger;
use crate::telemetry::{Meters, Tracer};

const FRAME: &str = "a frame of some fifty bytes, so that segments fill up";

/// A store with readers, and what feeds it.
struct World {
    reader: StoreReader,
    outlet: Rc<Outlet>,
    store: Addr<Spill>,
    ended: tokio::sync::oneshot::Receiver<()>,
    ledger: Arc<Ledger>,
    settled: Arc<Mutex<u64>>,
    sent: u64,
}

struct Hears(Option<tokio::sync::oneshot::Sender<()>>);

impl Actor for Hears {
    type Context = Context<Self>;
}

impl Handler<Ended> for Hears {
    type Result = ();

    fn handle(&mut self, _: Ended, _: &mut Self::Context) {
        if let Some(told) = self.0.take() {
            told.send(()).unwrap();
        }
    }
}

impl World {
    fn open(folder: &Path, config: &str) -> Self {
        let config = format!("directory = {:?}\npersist = \"always\"\n{config}", folder.join("store"));
        let (link, unread) = Link::new(&Meters::default());
        let (told, ended) = tokio::sync::oneshot::channel();
        let store = Spill::open(SpillParts {
            takes_streams: false,
            context: PluginContext::new("p", "drain", folder),
            config: toml::from_str(&config).unwrap(),
            behind_store: false,
            upstream: vec![0],
            edges: Vec::new(),
            readers: Some(unread),
            tracer: Tracer::off(),
            supervisor: Hears(Some(told)).start().recipient(),
        });
        let store = store.unwrap().into_actor().start();
        let outlet = Outlet::new(vec![Edge {
            id: 0,
            to: store.clone().recipient(),
            meters: EdgeMeters::default(),
        }]);
        outlet.join(&Upstream(outlet.clone()).start().recipient());
        let settled = Arc::<Mutex<u64>>::default();
        let count = settled.clone();
        Self {
            reader: StoreReader::new(link),
            outlet,
            store,
            ended,
            ledger: Ledger::counting(move |_| *count.lock().unwrap() += 1),
            settled,
            sent: 0,
        }
    }

    async fn feed(&mut self, batches: u64) {
        for _ in 0..batches {
            self.outlet.permit().await;
            self.outlet.send(batch(self.sent, FRAME, &self.ledger));
            self.sent += 1;
        }
    }

    /// Ends as at a shutdown: the source first, then the readers, then the store.
    async fn end(self) {
        let Self {
            reader,
            outlet,
            store,
            ended,
            ..
        } = self;
        outlet.finish();
        drop(reader);
        store.do_send(Order::Drain);
        ended.await.unwrap();
    }
}

/// Reads until the frame `to` has come; gives the numbers, and how many frames it was told to have passed.
async fn read(cursor: &mut ReadCursor, to: u64) -> (Vec<u64>, u64) {
    let (mut numbers, mut passed) = (Vec::new(), 0);
    while numbers.last().is_none_or(|last| last + 1 < to) {
        let read = cursor.next(20_000).await.unwrap();
        numbers.extend(read.batch.frames().map(|frame| frame.number()));
        passed += read.passed_frames;
        cursor.settle(read.end);
    }
    (numbers, passed)
}

fn all(from: u64, to: u64) -> Vec<u64> {
    (from..to).collect()
}

#[actix::test]
async fn each_cursor_gets_everything_from_where_it_stopped_across_runs() {
    let folder = tempfile::tempdir().unwrap();
    let config = "retain_bytes = \"100 MiB\"";
    let mut world = World::open(folder.path(), config);
    world.feed(40).await;
    let frames = 40 * PER_BATCH;
    let mut first = world.reader.cursor("first", Start::Oldest).await.unwrap();
    let mut second = world.reader.cursor("second", Start::Oldest).await.unwrap();
    assert_eq!(read(&mut first, frames).await, (all(0, frames), 0));
    assert_eq!(read(&mut second, 700).await, (all(0, 700), 0));
    drop((first, second));
    world.end().await;

    let mut world = World::open(folder.path(), config);
    let known = world.reader.cursors().await.unwrap();
    let known: Vec<_> = known
        .iter()
        .map(|one| (one.name.as_str(), one.position, one.waiting_frames))
        .collect();
    assert_eq!(known, [("first", frames, 0), ("second", 700, frames - 700)]);
    world.feed(1).await;
    let mut second = world.reader.cursor("second", Start::Newest).await.unwrap();
    let last: Vec<_> = all(700, frames).into_iter().chain(0..PER_BATCH).collect();
    let mut numbers = Vec::new();
    while numbers.len() < last.len() {
        let read = second.next(u64::MAX).await.unwrap();
        numbers.extend(read.batch.frames().map(|frame| frame.number()));
    }
    assert_eq!(numbers, last);
    drop(second);
    world.end().await;
}

#[actix::test]
async fn retention_moves_a_cursor_forward_and_tells_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::open(folder.path(), "retain_bytes = \"1 MiB\"\ncommit_bytes = \"64 KiB\"");
    let mut slow = world.reader.cursor("slow", Start::Oldest).await.unwrap();
    world.feed(1).await;
    assert_eq!(read(&mut slow, PER_BATCH).await, (all(0, PER_BATCH), 0));
    world.feed(1_000).await;
    let frames = 1_001 * PER_BATCH;
    let (numbers, passed) = read(&mut slow, frames).await;
    assert!(passed > 0 && numbers[0] >= PER_BATCH && numbers.is_sorted());
    assert_eq!(
        numbers.len() as u64 + passed,
        frames - PER_BATCH,
        "each frame came or was told to be passed"
    );
    let known = world.reader.cursors().await.unwrap();
    assert_eq!((known[0].passed_frames, known[0].waiting_frames), (passed, 0));
    assert_eq!(*world.settled.lock().unwrap(), 1_001, "all was acknowledged upstream");
    drop(slow);
    world.end().await;
}

#[actix::test]
async fn a_newer_reader_of_a_cursor_replaces_the_older() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::open(folder.path(), "retain_bytes = \"100 MiB\"\nmax_cursors = 1");
    world.feed(2).await;
    let mut older = world.reader.cursor("one", Start::Oldest).await.unwrap();
    assert_eq!(read(&mut older, PER_BATCH).await.0, all(0, PER_BATCH));
    let mut newer = world.reader.cursor("one", Start::Oldest).await.unwrap();
    let refused = loop {
        if let Err(error) = older.next(1).await {
            break error;
        }
    };
    assert_eq!(refused.reaction(), Reaction::Reject);
    assert_eq!(read(&mut newer, 2 * PER_BATCH).await.0, all(PER_BATCH, 2 * PER_BATCH));
    for name in ["other", "", "../x", ".x", "a b"] {
        let refused = world.reader.cursor(name, Start::Oldest).await.unwrap_err();
        assert_eq!(refused.reaction(), Reaction::Reject, "{name:?}: {refused}");
    }
    drop((older, newer));
    world.end().await;
}

#[actix::test]
async fn a_cancelled_next_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::open(folder.path(), "retain_bytes = \"100 MiB\"");
    let mut cursor = world.reader.cursor("c", Start::Oldest).await.unwrap();
    let mut numbers = Vec::new();
    for _ in 0..50 {
        world.feed(1).await;
        tokio::select! {
            biased;
            read = cursor.next(1) => numbers.extend(read.unwrap().batch.frames().map(|frame| frame.number())),
            () = tokio::task::yield_now() => {}
        }
    }
    while (numbers.len() as u64) < 50 * PER_BATCH {
        let read = cursor.next(1).await.unwrap();
        numbers.extend(read.batch.frames().map(|frame| frame.number()));
    }
    assert_eq!(numbers, all(0, 50 * PER_BATCH));
    drop(cursor);
    world.end().await;
}

#[actix::test]
async fn a_store_with_cursors_is_not_drained_by_a_pipeline_without_them() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path(), "retain_bytes = \"100 MiB\"");
    drop(world.reader.cursor("faithful", Start::Oldest).await.unwrap());
    world.end().await;
    let config = format!("directory = {:?}", folder.path().join("store"));
    let opened = Spill::open(SpillParts {
        takes_streams: false,
        context: PluginContext::new("p", "drain", folder.path()),
        config: toml::from_str(&config).unwrap(),
        behind_store: false,
        upstream: vec![0],
        edges: Vec::new(),
        readers: None,
        tracer: Tracer::off(),
        supervisor: Nobody.start().recipient(),
    });
    let error = opened.err().unwrap().to_string();
    assert!(error.contains("`faithful`") && error.contains("forget NAME"), "{error}");
}
