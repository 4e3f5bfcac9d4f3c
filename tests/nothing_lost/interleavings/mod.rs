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
use crate::run::Case;
use aqueduct::framework::spill::Persist;

const WINDOWS: [(u64, &[u64]); 5] = [
    (10, &[4, 12, 1, 4, 3]),
    (8, &[8, 8, 8, 8]),
    (20, &[5, 5, 5, 5, 5, 5]),
    (10, &[8, 8, 3, 3, 8]),
    (1, &[1, 1, 3, 1]),
];
pub(crate) const DEMAND: u64 = WINDOWS.len() as u64;

/// Demand bounds an edge and never gets stuck, in whatever order grants arrive.
pub(crate) fn demand(case: &mut Case) -> Result<(), String> {
    let (window, batches) = WINDOWS[case.seed as usize];
    case.count("states", explore(|| Demand::new(window, batches)));
    Ok(())
}

const PIPES: [Pipe; 6] = [
    Pipe::new(Persist::Overflow, 3, 1, 2),
    Pipe::new(Persist::Overflow, 4, 1, 1),
    Pipe::new(Persist::Overflow, 3, 2, 1),
    Pipe::new(Persist::Overflow, 2, 2, 2),
    Pipe::new(Persist::Always, 3, 1, 1),
    Pipe::new(Persist::Always, 2, 1, 2),
];
pub(crate) const RECEIPTS: u64 = PIPES.len() as u64;

/// A drop anywhere is repeated in order, in whatever order receipts arrive.
pub(crate) fn receipts(case: &mut Case) -> Result<(), String> {
    let pipe = PIPES[case.seed as usize];
    case.count("states", explore(|| Receipts::new(pipe)));
    Ok(())
}

/// Stores close last, in whatever order actors end.
pub(crate) fn shutdown(case: &mut Case) -> Result<(), String> {
    case.count("states", explore(Ending::new));
    Ok(())
}

/// What workers finish leaves in order, whoever is first.
pub(crate) fn workers(case: &mut Case) -> Result<(), String> {
    case.count("states", explore(|| Order::new(6, 3)));
    Ok(())
}
