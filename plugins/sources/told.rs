//! What became of batches that a source waits for, told from any thread.

use std::sync::{Arc, Mutex, PoisonError};

use aqueduct_framework::receipt::{Ledger, Settled};
use tokio::sync::Notify;

/// Settled receipts that were not heard yet; at most as many as were issued and not settled.
#[derive(Default)]
pub(super) struct Told {
    settled: Mutex<Vec<Settled>>,
    ring: Notify,
}

impl Told {
    /// With the ledger whose receipts are told here, at the first store's commit.
    pub(super) fn with_ledger() -> (Arc<Self>, Arc<Ledger>) {
        let told = Arc::<Self>::default();
        let heard = told.clone();
        (told, Ledger::counting(move |settled| heard.tell(settled)))
    }

    /// The same, where a store does not tell before delivery.
    pub(super) fn of_deliveries() -> (Arc<Self>, Arc<Ledger>) {
        let told = Arc::<Self>::default();
        let heard = told.clone();
        (told, Ledger::awaiting_delivery(move |settled| heard.tell(settled)))
    }

    fn tell(&self, settled: Settled) {
        self.settled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(settled);
        self.ring();
    }

    /// Rings for one that waits, or for the next that will.
    pub(super) fn ring(&self) {
        self.ring.notify_one();
    }

    /// Resolves when something was told. Cancel-safe; for one at a time.
    pub(super) async fn rung(&self) {
        self.ring.notified().await;
    }

    /// What was told since the last call, in that order.
    pub(super) fn take(&self) -> Vec<Settled> {
        std::mem::take(&mut *self.settled.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
