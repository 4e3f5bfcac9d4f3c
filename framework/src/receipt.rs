//! The fate of a batch, travelling with it.
//!
//! Whoever holds a batch last settles it. A receipt that is dropped without a word counts as
//! [`Fate::Dropped`], so a panic, a closed mailbox or a forgotten batch can never look like a delivery.
//! A parent settles when all its children have, with the worst of their fates.

use std::fmt;
use std::sync::Arc;

use crate::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use crate::seeded::{self, Bug};

/// How a batch ended, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Fate {
    /// The sink has it, in the sense its `acknowledge` option defines.
    Delivered = 0,
    /// A plugin refused it; it is a dead letter or counted as rejected. It is not sent again.
    Rejected = 1,
    /// It left the pipeline undelivered. A spill store sends it again; without one it is lost.
    Dropped = 2,
}

impl Fate {
    fn from_u8(value: u8) -> Self {
        match value {
            0 => Self::Delivered,
            1 => Self::Rejected,
            _ => Self::Dropped,
        }
    }
}

/// A settled batch, as told to the actor that issued its receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// What the issuer named the batch.
    pub token: u64,
    /// The epoch under which it was handed down.
    pub epoch: u64,
    /// The worst fate among all parts of the batch.
    pub fate: Fate,
}

/// Where an issuer's receipts come back to, shared by all of them.
///
/// With redelivery, the first drop *breaks* the epoch: every later batch of it is stale from that moment on,
/// on every thread, and whoever holds one discards it. That keeps the order when the issuer sends again from the lowest unsettled
/// batch (go-back-N) under the next epoch.
pub struct Ledger {
    redelivers: bool,
    broken: AtomicU64,
    report: Box<dyn Fn(Settled) + Send + Sync>,
}

impl Ledger {
    /// A ledger whose issuer sends dropped batches again.
    pub fn redelivering(report: impl Fn(Settled) + Send + Sync + 'static) -> Arc<Self> {
        Self::new(true, report)
    }

    /// A ledger whose issuer only counts: what is dropped is lost, what follows goes on.
    pub fn counting(report: impl Fn(Settled) + Send + Sync + 'static) -> Arc<Self> {
        Self::new(false, report)
    }

    fn new(redelivers: bool, report: impl Fn(Settled) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            redelivers,
            broken: AtomicU64::new(0),
            report: Box::new(report),
        })
    }

    /// Issues the receipt of one batch. `epoch` starts at 1.
    pub fn issue(self: &Arc<Self>, token: u64, epoch: u64) -> Receipt {
        Receipt(Some(Node::new(Origin::Issued {
            ledger: self.clone(),
            token,
            epoch,
        })))
    }
}

/// Who hears of a receipt's fate.
enum Origin {
    /// The issuer of a batch.
    Issued {
        ledger: Arc<Ledger>,
        token: u64,
        epoch: u64,
    },
    /// Several batches of which one was made.
    Joint(Vec<Arc<Node>>),
}

struct Node {
    origin: Origin,
    pending: AtomicU32,
    worst: AtomicU8,
}

impl Node {
    fn new(origin: Origin) -> Arc<Self> {
        Arc::new(Self {
            origin,
            pending: AtomicU32::new(1),
            worst: AtomicU8::new(Fate::Delivered as u8),
        })
    }

    fn settle(&self, fate: Fate) {
        if fate == Fate::Dropped {
            self.break_epoch();
        }
        if seeded::has(Bug::LastFateCounts) {
            self.worst.store(fate as u8, Ordering::Release);
        } else {
            self.worst.fetch_max(fate as u8, Ordering::AcqRel);
        }
        if self.pending.fetch_sub(1, Ordering::AcqRel) == 1 {
            let fate = Fate::from_u8(self.worst.load(Ordering::Acquire));
            match &self.origin {
                Origin::Issued { ledger, token, epoch } => (ledger.report)(Settled {
                    token: *token,
                    epoch: *epoch,
                    fate,
                }),
                Origin::Joint(parents) => parents.iter().for_each(|parent| parent.settle(fate)),
            }
        }
    }

    /// At the first drop, not when all parts are settled: what follows must not overtake.
    fn break_epoch(&self) {
        match &self.origin {
            Origin::Issued { ledger, epoch, .. } if ledger.redelivers => {
                ledger.broken.fetch_max(*epoch, Ordering::AcqRel);
            }
            Origin::Issued { .. } => {}
            Origin::Joint(parents) => parents.iter().for_each(|parent| parent.break_epoch()),
        }
    }

    fn is_stale(&self) -> bool {
        match &self.origin {
            Origin::Issued { ledger, epoch, .. } => *epoch <= ledger.broken.load(Ordering::Acquire),
            Origin::Joint(parents) => parents.iter().any(|parent| parent.is_stale()),
        }
    }

    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Issued { token, epoch, .. } => write!(f, "{token}@{epoch}"),
            Origin::Joint(parents) => write!(f, "joint of {}", parents.len()),
        }
    }
}

/// One part's promise to report its fate, exactly once.
pub struct Receipt(Option<Arc<Node>>);

impl Receipt {
    /// A receipt nobody waits for: for tests and for batches whose fate is known already.
    pub fn none() -> Self {
        Self(None)
    }

    /// The receipt of what was made of several batches: each of them is settled when this one is, with its fate. It is stale as soon as
    /// one of them is.
    #[must_use]
    pub fn joint(parts: impl IntoIterator<Item = Self>) -> Self {
        let parents = parts.into_iter().filter_map(|mut part| part.0.take());
        Self(Some(Node::new(Origin::Joint(parents.collect()))))
    }

    /// One receipt for a batch of which two issuers want to hear; `other` as it is when nobody waits for this one.
    #[must_use]
    pub(crate) fn beside(self, other: Self) -> Self {
        if self.0.is_none() {
            other
        } else {
            Self::joint([self, other])
        }
    }

    /// Another part of the same batch: the issuer hears only when every part has settled.
    #[must_use]
    pub fn child(&self) -> Self {
        if let Some(node) = &self.0
            && !seeded::has(Bug::ReceiptSettledEarly)
        {
            node.pending.fetch_add(1, Ordering::AcqRel);
        }
        Self(self.0.clone())
    }

    /// Reports the fate of this part.
    pub fn settle(mut self, fate: Fate) {
        if let Some(node) = self.0.take() {
            node.settle(fate);
        }
    }

    /// True when an earlier batch of the same epoch was dropped: delivering this one would break the order,
    /// so its holder drops it too.
    pub fn is_stale(&self) -> bool {
        self.0.as_ref().is_some_and(|node| node.is_stale()) && !seeded::has(Bug::OldEpochDelivered)
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if let Some(node) = self.0.take() {
            node.settle(Fate::Dropped);
        }
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(node) => {
                f.write_str("Receipt(")?;
                node.fmt(f)?;
                f.write_str(")")
            }
            None => f.write_str("Receipt(none)"),
        }
    }
}
