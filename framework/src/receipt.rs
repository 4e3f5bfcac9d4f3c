//! The fate of a batch, travelling with it.
//!
//! Whoever holds a batch last settles it. A receipt that is dropped without a word counts as
//! [`Fate::Dropped`], so a panic, a closed mailbox or a forgotten batch can never look like a delivery.
//! A parent settles when all its children have, with the worst of their fates.
//!
//! A part that is dropped may have come some way: it says below which frame number nothing of it is left to do
//! ([`Receipt::done_below`]), and the least of these figures is told to the issuer, who need not send those frames again.

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
    /// Of a batch that was dropped: every frame with a number below this one is off everybody's hands all the same, delivered or a
    /// dead letter. 0 when nothing is known.
    pub done_below: u64,
}

/// Where an issuer's receipts come back to, shared by all of them.
///
/// With redelivery, the first drop *breaks* the epoch: every later batch of it is stale from that moment on,
/// on every thread, and whoever holds one discards it. That keeps the order when the issuer sends again from the lowest unsettled
/// batch (go-back-N) under the next epoch.
pub struct Ledger {
    redelivers: bool,
    /// Stores settle its receipts only when what they are about is delivered.
    awaits_delivery: bool,
    broken: AtomicU64,
    report: Box<dyn Fn(Settled) + Send + Sync>,
}

impl Ledger {
    /// A ledger whose issuer sends dropped batches again.
    pub fn redelivering(report: impl Fn(Settled) + Send + Sync + 'static) -> Arc<Self> {
        Self::new((true, false), report)
    }

    /// A ledger whose issuer only counts: what is dropped is lost, what follows goes on.
    pub fn counting(report: impl Fn(Settled) + Send + Sync + 'static) -> Arc<Self> {
        Self::new((false, false), report)
    }

    /// The same for one who waits until what it sent is delivered: a store on the way settles these receipts not when it is durable, but when the store's own
    /// are settled.
    pub fn awaiting_delivery(report: impl Fn(Settled) + Send + Sync + 'static) -> Arc<Self> {
        Self::new((false, true), report)
    }

    fn new((redelivers, awaits_delivery): (bool, bool), report: impl Fn(Settled) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            redelivers,
            awaits_delivery,
            broken: AtomicU64::new(0),
            report: Box::new(report),
        })
    }

    /// Issues the receipt of one batch. `epoch` starts at 1.
    pub fn issue(self: &Arc<Self>, token: u64, epoch: u64) -> Receipt {
        let node = Node::new(Origin::Issued {
            ledger: self.clone(),
            token,
            epoch,
        });
        Receipt {
            node: Some(node),
            done_below: 0,
        }
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
    /// Several batches of which one was made, each with the number below which it was done before.
    Joint(Vec<(Arc<Node>, u64)>),
}

struct Node {
    origin: Origin,
    pending: AtomicU32,
    worst: AtomicU8,
    /// The least among the parts that were dropped.
    done_below: AtomicU64,
}

impl Node {
    fn new(origin: Origin) -> Arc<Self> {
        Arc::new(Self {
            origin,
            pending: AtomicU32::new(1),
            worst: AtomicU8::new(Fate::Delivered as u8),
            done_below: AtomicU64::new(u64::MAX),
        })
    }

    /// Settles a part, which is done below this number whatever its fate.
    fn settle(&self, fate: Fate, done_below: u64) {
        if fate == Fate::Dropped {
            self.break_epoch();
            self.done_below.fetch_min(done_below, Ordering::AcqRel);
        }
        if seeded::has(Bug::LastFateCounts) {
            self.worst.store(fate as u8, Ordering::Release);
        } else {
            self.worst.fetch_max(fate as u8, Ordering::AcqRel);
        }
        if self.pending.fetch_sub(1, Ordering::AcqRel) == 1 {
            let fate = Fate::from_u8(self.worst.load(Ordering::Acquire));
            let done_below = self.done_below.load(Ordering::Acquire);
            match &self.origin {
                Origin::Issued { ledger, token, epoch } => (ledger.report)(Settled {
                    token: *token,
                    epoch: *epoch,
                    fate,
                    done_below,
                }),
                // Its own numbers are not those of every parent.
                Origin::Joint(parents) => parents.iter().for_each(|(parent, done)| parent.settle(fate, *done)),
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
            Origin::Joint(parents) => parents.iter().for_each(|(parent, _)| parent.break_epoch()),
        }
    }

    fn is_stale(&self) -> bool {
        match &self.origin {
            Origin::Issued { ledger, epoch, .. } => *epoch <= ledger.broken.load(Ordering::Acquire),
            Origin::Joint(parents) => parents.iter().any(|(parent, _)| parent.is_stale()),
        }
    }

    fn awaits_delivery(&self) -> bool {
        match &self.origin {
            Origin::Issued { ledger, .. } => ledger.awaits_delivery,
            Origin::Joint(parents) => parents.iter().any(|(parent, _)| parent.awaits_delivery()),
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
pub struct Receipt {
    node: Option<Arc<Node>>,
    /// Nothing with a lower number is left of this part.
    done_below: u64,
}

impl Receipt {
    /// A receipt nobody waits for: for tests and for batches whose fate is known already.
    pub fn none() -> Self {
        Self {
            node: None,
            done_below: 0,
        }
    }

    /// The receipt of what was made of several batches: each of them is settled when this one is, with its fate. It is stale as soon as
    /// one of them is.
    #[must_use]
    pub fn joint(parts: impl IntoIterator<Item = Self>) -> Self {
        let parents = parts
            .into_iter()
            .filter_map(|mut part| Some((part.node.take()?, part.done_below)));
        Self {
            node: Some(Node::new(Origin::Joint(parents.collect()))),
            done_below: 0,
        }
    }

    /// One receipt for a batch of which two issuers want to hear; `other` as it is when nobody waits for this one.
    #[must_use]
    pub(crate) fn beside(self, other: Self) -> Self {
        if self.node.is_none() {
            other
        } else {
            Self::joint([self, other])
        }
    }

    /// Another part of the same batch: the issuer hears only when every part has settled. It is done as far as this one.
    #[must_use]
    pub fn child(&self) -> Self {
        if let Some(node) = &self.node
            && !seeded::has(Bug::ReceiptSettledEarly)
        {
            node.pending.fetch_add(1, Ordering::AcqRel);
        }
        Self {
            node: self.node.clone(),
            done_below: self.done_below,
        }
    }

    /// Notes that of this part no frame with a lower number is left to be delivered, also if it is dropped later: its issuer does not
    /// send these again. A number lower than one before changes nothing.
    pub fn done_below(&mut self, number: u64) {
        self.done_below = self.done_below.max(number);
    }

    /// Reports the fate of this part.
    pub fn settle(mut self, fate: Fate) {
        if let Some(node) = self.node.take() {
            node.settle(fate, self.done_below);
        }
    }

    /// True when an issuer waits until the batch is delivered, so that a store does not settle it earlier.
    pub fn awaits_delivery(&self) -> bool {
        self.node.as_ref().is_some_and(|node| node.awaits_delivery())
    }

    /// True when an earlier batch of the same epoch was dropped: delivering this one would break the order,
    /// so its holder drops it too.
    pub fn is_stale(&self) -> bool {
        self.node.as_ref().is_some_and(|node| node.is_stale()) && !seeded::has(Bug::OldEpochDelivered)
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if let Some(node) = self.node.take() {
            node.settle(Fate::Dropped, self.done_below);
        }
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.node {
            Some(node) => {
                f.write_str("Receipt(")?;
                node.fmt(f)?;
                f.write_str(")")
            }
            None => f.write_str("Receipt(none)"),
        }
    }
}
