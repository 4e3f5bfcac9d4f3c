//! Every order in which messages between actors can arrive, over the real state machines.
//!
//! The actors are single-threaded, so what can differ between two runs is the order in which their messages are handled. Each model
//! here names what may happen next; [`explore`](explore::explore) does all of it, in every order, and forgets orders that lead to a
//! state that was seen. A model that rests, because nothing can happen any more, must have come to its end: otherwise it is a deadlock.

mod demand;
mod explore;
mod order;
mod receipts;
mod shutdown;

use self::demand::Demand;
use self::explore::explore;
use self::order::Order;
use self::receipts::{Pipe, Receipts};
use self::shutdown::Ending;
use crate::effort::say;
use aqueduct::framework::spill::Persist;

#[test]
fn demand_bounds_an_edge_and_never_gets_stuck_in_whatever_order_grants_arrive() {
    let mut states = 0;
    for (window, batches) in [
        (10, vec![4, 12, 1, 4, 3]),
        (8, vec![8, 8, 8, 8]),
        (20, vec![5, 5, 5, 5, 5, 5]),
        (10, vec![8, 8, 3, 3, 8]),
        (1, vec![1, 1, 3, 1]),
    ] {
        states += explore(|| Demand::new(window, &batches));
    }
    say(&format!(
        "interleavings of demand: {states} states, all bounded, none stuck"
    ));
}

#[test]
fn a_drop_anywhere_is_repeated_in_order_in_whatever_order_receipts_arrive() {
    let mut states = 0;
    for pipe in [
        Pipe::new(Persist::Overflow, 3, 1, 2),
        Pipe::new(Persist::Overflow, 4, 1, 1),
        Pipe::new(Persist::Overflow, 3, 2, 1),
        Pipe::new(Persist::Overflow, 2, 2, 2),
        Pipe::new(Persist::Always, 3, 1, 1),
        Pipe::new(Persist::Always, 2, 1, 2),
    ] {
        states += explore(|| Receipts::new(pipe));
    }
    say(&format!(
        "interleavings of receipts: {states} states, no order broken, nothing lost, none stuck"
    ));
}

#[test]
fn stores_close_last_in_whatever_order_actors_end() {
    let states = explore(Ending::new);
    say(&format!(
        "interleavings of a shutdown: {states} states, stores last in all"
    ));
}

#[test]
fn what_workers_finish_leaves_in_order_whoever_is_first() {
    let states = explore(|| Order::new(6, 3));
    say(&format!("interleavings of workers: {states} states, all in order"));
}
