//! The real actor on real redb files, between an upstream and a downstream actor of the test.

use std::rc::Rc;
use std::sync::{Arc, Mutex};

use actix::prelude::*;
use tokio::sync::oneshot;

use super::*;
use crate::batch::{Batch, BatchBuilder, Numbers};
use crate::demand::Grant;
use crate::mailbox::EdgeMeters;
use crate::receipt::Fate;

const BATCHES: u64 = 40;
pub(super) const PER_BATCH: u64 = 100;

/// Takes what the store hands down, and loses one batch in the middle. Like every holder it gives back what is stale then.
struct Forgetful {
    lose: Option<usize>,
    taken: usize,
    seen: Arc<Mutex<Vec<u64>>>,
    done: Option<oneshot::Sender<()>>,
}

impl Actor for Forgetful {
    type Context = Context<Self>;
}

impl Handler<Arrival> for Forgetful {
    type Result = ();

    fn handle(&mut self, arrival: Arrival, _: &mut Self::Context) {
        match arrival {
            Arrival::Joined(id, grants_to) => grants_to.do_send(Granted(
                id,
                Grant {
                    epoch: 1,
                    total: 1 << 30,
                },
            )),
            Arrival::Batch(_, batch) => self.take(batch),
            Arrival::Finished(_) => {
                if let Some(done) = self.done.take() {
                    done.send(()).unwrap();
                }
            }
        }
    }
}

impl Forgetful {
    fn take(&mut self, batch: Batch) {
        self.taken += 1;
        if batch.receipt.is_stale() || self.lose.take_if(|lose| *lose == self.taken).is_some() {
            return;
        }
        let numbers = batch.frames().map(|frame| frame.number());
        self.seen.lock().unwrap().extend(numbers);
        batch.receipt.settle(Fate::Delivered);
    }
}

/// Hears how the store ended.
pub(super) struct Nobody;

impl Actor for Nobody {
    type Context = Context<Self>;
}

impl Handler<Ended> for Nobody {
    type Result = ();

    fn handle(&mut self, _: Ended, _: &mut Self::Context) {}
}

/// Sends under demand, then finishes.
pub(super) struct Upstream(pub(super) Rc<Outlet>);

impl Actor for Upstream {
    type Context = Context<Self>;
}

impl Handler<Granted> for Upstream {
    type Result = ();

    fn handle(&mut self, granted: Granted, _: &mut Self::Context) {
        self.0.grant(granted);
    }
}

pub(super) fn batch(number: u64, text: &str, ledger: &Arc<Ledger>) -> Batch {
    let mut builder = BatchBuilder::new(&Numbers::new("s".into(), 1, 0, 0));
    for frame in number * PER_BATCH..(number + 1) * PER_BATCH {
        builder.push_span(text.as_bytes(), frame);
    }
    builder.finish(now_ns(), None, ledger.issue(number, 1))
}

async fn deliver(config: &str, text: &str, lose: Option<usize>) -> (Vec<u64>, Vec<Settled>) {
    let folder = tempfile::tempdir().unwrap();
    let config = format!("directory = {:?}\n{config}", folder.path().join("store"));
    let (seen, settled) = (Arc::<Mutex<Vec<u64>>>::default(), Arc::<Mutex<Vec<Settled>>>::default());
    let (done, finished) = oneshot::channel();
    let forgetful = Forgetful {
        lose,
        taken: 0,
        seen: seen.clone(),
        done: Some(done),
    };
    let edge = |id, to| Edge {
        id,
        to,
        meters: EdgeMeters::default(),
    };
    let store = Spill::open(SpillParts {
        takes_streams: false,
        context: PluginContext::new("p", "drain", folder.path()),
        config: toml::from_str(&config).unwrap(),
        behind_store: false,
        upstream: vec![0],
        edges: vec![edge(1, forgetful.start().recipient())],
        readers: None,
        tracer: Tracer::off(),
        supervisor: Nobody.start().recipient(),
    });
    let store = store.unwrap().into_actor().start();
    let outlet = Outlet::new(vec![edge(0, store.recipient())]);
    outlet.join(&Upstream(outlet.clone()).start().recipient());
    let told = settled.clone();
    let ledger = Ledger::counting(move |one| told.lock().unwrap().push(one));
    for number in 0..BATCHES {
        outlet.permit().await;
        outlet.send(batch(number, text, &ledger));
    }
    outlet.finish();
    finished.await.unwrap();
    (seen.lock().unwrap().clone(), settled.lock().unwrap().clone())
}

#[actix::test]
async fn a_batch_dropped_in_the_middle_comes_again_and_nothing_overtakes_it() {
    let everything: Vec<_> = (0..BATCHES * PER_BATCH).collect();
    for config in [
        "",
        "persist = \"always\"",
        "memory_bytes = 4096\nin_flight_bytes = 65536",
    ] {
        for lose in [1, 7, BATCHES as usize] {
            let (seen, settled) = deliver(config, "a frame", Some(lose)).await;
            assert_eq!(seen, everything, "{config}, batch {lose} was lost");
            assert_eq!(settled.len() as u64, BATCHES, "every receipt upstream settled once");
            assert!(settled.iter().all(|one| one.fate == Fate::Delivered));
        }
    }
}

#[actix::test]
async fn frames_without_a_byte_are_committed_and_delivered_like_others() {
    let (seen, settled) = deliver("persist = \"always\"", "", None).await;
    assert_eq!(seen.len() as u64, BATCHES * PER_BATCH);
    assert_eq!(settled.len() as u64, BATCHES);
}
