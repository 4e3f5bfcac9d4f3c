//! What connects the readers of a store with the store's actor, on whatever threads they are: requests one way, answers the other, and figures both look at.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, oneshot, watch};

use super::{NamedCursor, Start, ended};
use crate::batch::Batch;
use crate::error::Result;
use crate::telemetry::Meters;

/// Requests that may wait for the store: each cursor has one at a time, and who asks for more waits.
const REQUESTS: usize = 64;

/// What readers ask of the store.
#[derive(Debug)]
pub(crate) enum Request {
    /// All cursors.
    List(oneshot::Sender<Vec<NamedCursor>>),
    /// The cursor of a name.
    Open {
        name: String,
        start: Start,
        answer: oneshot::Sender<Result<Opened>>,
    },
    /// The next frames, once there are some.
    Next {
        ticket: u64,
        bytes: u64,
        answer: oneshot::Sender<Result<Fetched>>,
    },
}

/// An open cursor.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) name: Arc<str>,
    pub(crate) ticket: u64,
    pub(crate) shared: Arc<Shared>,
}

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Fetched {
    pub(crate) batches: Vec<(u64, Batch)>,
    /// Passed since the last one.
    pub(crate) passed_frames: u64,
}

/// What a cursor tells without asking. It is closed once the store alone holds this.
#[derive(Debug)]
pub(crate) struct Shared {
    settled: AtomicU64,
}

impl Shared {
    pub(crate) fn new(position: u64) -> Arc<Self> {
        Arc::new(Self {
            settled: AtomicU64::new(position),
        })
    }

    pub(super) fn settle(&self, position: u64) {
        self.settled.fetch_max(position, Ordering::AcqRel);
    }

    pub(crate) fn settled(&self) -> u64 {
        self.settled.load(Ordering::Acquire)
    }
}

/// The readers' end.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    requests: mpsc::Sender<Request>,
    stop: watch::Sender<bool>,
    tail: Arc<AtomicU64>,
    /// Of the sink that reads.
    pub(super) meters: Meters,
}

/// What the readers ask, as it reaches the store.
pub(crate) type Requests = mpsc::Receiver<Request>;

/// The store's end, until its actor runs.
#[derive(Debug)]
pub(crate) struct StoreUnread {
    pub(crate) requests: Requests,
    pub(crate) joined: Joined,
}

/// What the store tells its readers without being asked.
#[derive(Debug, Clone)]
pub(crate) struct Joined {
    stop: watch::Sender<bool>,
    tail: Arc<AtomicU64>,
}

impl Link {
    /// Both ends, for the sink with these meters.
    pub(crate) fn new(meters: &Meters) -> (Self, StoreUnread) {
        let (to, requests) = mpsc::channel(REQUESTS);
        let (stop, _) = watch::channel(false);
        let tail = Arc::new(AtomicU64::new(0));
        let joined = Joined {
            stop: stop.clone(),
            tail: tail.clone(),
        };
        let link = Self {
            requests: to,
            stop,
            tail,
            meters: meters.clone(),
        };
        (link, StoreUnread { requests, joined })
    }

    pub(super) async fn ask(&self, request: Request) -> Result<()> {
        self.requests.send(request).await.map_err(|_| ended())
    }

    pub(super) async fn stopping(&self) {
        // Without a sender there is nobody left to wait for; this holds one itself.
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
    }

    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }

    pub(super) fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    pub(super) fn tail(&self) -> u64 {
        self.tail.load(Ordering::Acquire)
    }
}

impl Joined {
    /// The readers come to their end.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Everything below is durable.
    pub(crate) fn committed(&self, tail: u64) {
        self.tail.store(tail, Ordering::Release);
    }
}
