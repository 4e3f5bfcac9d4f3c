use std::rc::Rc;

use actix::prelude::*;

use super::*;
use crate::batch::{Batch, BatchBuilder, Numbers};
use crate::find::{Query, State, Wanted};
use crate::receipt::Receipt;

/// An upstream actor that only takes grants.
struct Upstream(Rc<Outlet>);

impl Actor for Upstream {
    type Context = Context<Self>;
}

impl Handler<Granted> for Upstream {
    type Result = ();

    fn handle(&mut self, granted: Granted, _: &mut Self::Context) {
        self.0.grant(granted);
    }
}

/// A downstream actor that only keeps what arrives.
struct Downstream(Rc<Inbox>);

impl Actor for Downstream {
    type Context = Context<Self>;
}

impl Handler<Arrival> for Downstream {
    type Result = ();

    fn handle(&mut self, arrival: Arrival, _: &mut Self::Context) {
        self.0.take(arrival);
    }
}

fn batch(bytes: usize) -> Batch {
    let mut builder = BatchBuilder::new(&Numbers::new("s".into(), 1, 0, 0));
    builder.push_span(&vec![b'x'; bytes], 0);
    builder.finish(0, None, Receipt::none())
}

fn connect(inbox: &Rc<Inbox>, id: EdgeId) -> Rc<Outlet> {
    connect_to(Downstream(inbox.clone()).start().recipient(), id)
}

fn connect_to(to: Recipient<Arrival>, id: EdgeId) -> Rc<Outlet> {
    let outlet = Outlet::new(vec![Edge {
        id,
        to,
        meters: EdgeMeters::default(),
    }]);
    outlet.join(&Upstream(outlet.clone()).start().recipient());
    outlet
}

#[actix::test]
async fn what_is_sent_before_the_receiver_lets_go_stays_within_the_window_and_one_batch() {
    let window = 100_000;
    let inbox = Inbox::new(&[0], window);
    inbox.open();
    let outlet = connect(&inbox, 0);
    outlet.permit().await;
    let mut sent = 0;
    while outlet.may_send() {
        let batch = batch(30_000);
        sent += batch.cost();
        outlet.send(batch);
    }
    assert!((window..window + 31_000).contains(&sent), "sent {sent}");

    let mut held = inbox.next().await.unwrap();
    drop(held.take());
    drop(held);
    outlet.permit().await;
    assert!(outlet.may_send(), "demand came back with the bytes");
}

/// A sink that settles thousands of small batches at once tells the store of each, and the source sends meanwhile.
#[actix::test]
async fn a_batch_gets_through_a_mailbox_that_is_full_of_other_messages() {
    let inbox = Inbox::new(&[0], 100_000);
    inbox.open();
    let to = Downstream(inbox.clone()).start().recipient();
    let outlet = connect_to(to.clone(), 0);
    outlet.permit().await;
    for _ in 0..10_000 {
        // Of an edge that it does not have.
        to.do_send(Arrival::Finished(7));
    }
    for _ in 0..2 {
        outlet.send(batch(10));
    }
    for _ in 0..2 {
        let mut held = inbox.next().await.unwrap();
        assert_eq!(held.take().map(|batch| batch.len()), Some(1));
    }
}

#[actix::test]
async fn every_waiter_of_an_outlet_is_woken_by_a_grant() {
    let inbox = Inbox::new(&[0], 100_000);
    let outlet = connect(&inbox, 0);
    let waiters = (0..10).map(|_| {
        let outlet = outlet.clone();
        actix_rt::spawn(async move { outlet.permit().await })
    });
    let waiters: Vec<_> = waiters.collect();
    tokio::task::yield_now().await;
    inbox.open();
    for waiter in waiters {
        waiter.await.unwrap();
    }
}

#[actix::test]
async fn a_window_shared_by_two_upstreams_moves_to_the_one_that_sends() {
    let window = 400_000;
    let inbox = Inbox::new(&[0, 1], window);
    inbox.open();
    let (busy, quiet) = (connect(&inbox, 0), connect(&inbox, 1));
    busy.permit().await;
    quiet.permit().await;
    let mut most = 0;
    for _ in 0..10 {
        let mut sent = 0;
        while busy.may_send() {
            let batch = batch(10_000);
            sent += batch.cost();
            busy.send(batch);
        }
        most = most.max(sent);
        for _ in 0..sent / 10_000 {
            let Some(held) = inbox.next().await else { break };
            drop(held);
        }
        inbox.restore();
        busy.permit().await;
    }
    assert!(
        most > window / 2,
        "the quiet edge keeps a quarter, the busy one had {most}"
    );
    assert!(
        most <= window * 3 / 4 + 20_000,
        "but the quiet edge's share stays granted: {most}"
    );
}

#[actix::test]
async fn a_batch_is_found_in_the_queue_and_in_the_hands_of_the_actor_until_it_lets_go() {
    let inbox = Inbox::new(&[1], 64 * 1024);
    inbox.take(Arrival::Batch(1, batch(10)));
    inbox.take(Arrival::Batch(1, batch(10)));
    let query = Query {
        wanted: Wanted::Number {
            source: "s".into(),
            seq: 0,
        },
        ids: None,
        deadline: std::time::Instant::now(),
    };
    let states = || {
        inbox
            .find(&query)
            .into_iter()
            .map(|found| found.state)
            .collect::<Vec<_>>()
    };
    let queued = |frames_ahead| State::Queued { frames_ahead };
    assert_eq!(states(), [queued(0), queued(1)]);
    let mut held = inbox.next().await.unwrap();
    held.show(State::WaitingForDemand);
    assert_eq!(states(), [State::WaitingForDemand, queued(0)]);
    drop(held.take());
    held.show(State::InHand);
    assert_eq!(states(), [State::InHand, queued(0)]);
    drop(held);
    assert_eq!(states(), [queued(0)]);
}
