//! One client of a name at a time: who comes anew under it takes the place of the one before, whose connection may be half open.

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::sync::{Mutex, MutexGuard, Notify};

/// The places of the clients that are served, or about to be.
#[derive(Debug)]
pub(super) struct Seats {
    max: usize,
    taken: RefCell<BTreeMap<Rc<str>, Rc<Seat>>>,
}

#[derive(Debug, Default)]
struct Seat {
    /// The number of whoever came last.
    newest: Cell<u64>,
    came: Notify,
    /// Held by the one who is served.
    turn: Mutex<()>,
}

/// A client's right to its place, until somebody comes anew.
#[derive(Debug)]
pub(super) struct Claim {
    seats: Rc<Seats>,
    name: Rc<str>,
    seat: Rc<Seat>,
    number: u64,
}

impl Seats {
    /// Places for so many names.
    pub(super) fn new(max: usize) -> Rc<Self> {
        Rc::new(Self {
            max,
            taken: RefCell::default(),
        })
    }

    /// The place of that name, which whoever sits there has to leave. None when all are taken by others.
    pub(super) fn claim(self: &Rc<Self>, name: &str) -> Option<Claim> {
        let mut taken = self.taken.borrow_mut();
        if !taken.contains_key(name) && taken.len() >= self.max {
            return None;
        }
        let name: Rc<str> = name.into();
        let seat = taken.entry(name.clone()).or_default().clone();
        let number = seat.newest.get() + 1;
        seat.newest.set(number);
        seat.came.notify_waiters();
        Some(Claim {
            seats: self.clone(),
            name,
            seat,
            number,
        })
    }
}

impl Claim {
    /// Resolves when whoever came before has left. Cancel-safe.
    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.seat.turn.lock().await
    }

    /// Resolves when somebody came anew. Cancel-safe.
    pub(super) async fn superseded(&self) {
        loop {
            let came = self.seat.came.notified();
            if self.seat.newest.get() != self.number {
                return;
            }
            came.await;
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // The list's and this one.
        if Rc::strong_count(&self.seat) <= 2 {
            self.seats.taken.borrow_mut().remove(&self.name);
        }
    }
}
