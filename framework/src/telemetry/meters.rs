//! Meters: what an actor counts. Written by its actor with relaxed atomics, read by `status` and the metrics from any thread.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// A number that only grows.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Raises it to `value` if that is higher: for peaks.
    pub fn raise(&self, value: u64) {
        self.0.fetch_max(value, Ordering::Relaxed);
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Everything one actor counts. Cloning shares the counters.
#[derive(Debug, Clone, Default)]
pub struct Meters {
    /// Frames that arrived at the actor (for a source: that it read).
    pub frames_in: Counter,
    /// Their bytes, without framing.
    pub bytes_in: Counter,
    /// Frames handed on (for a sink: delivered).
    pub frames_out: Counter,
    /// Their bytes.
    pub bytes_out: Counter,
    /// Frames set aside as dead letters, or counted as rejected when nobody takes them.
    pub rejected: Counter,
    /// Frames given back undelivered: sent again when a store stands upstream.
    pub dropped: Counter,
    /// Frames lost for good.
    pub lost: Counter,
    own: Arc<Mutex<Own>>,
}

#[derive(Debug, Default)]
struct Own {
    counters: BTreeMap<String, Counter>,
    gauges: BTreeMap<String, Gauge>,
    texts: BTreeMap<String, String>,
}

impl Meters {
    /// The counter of that name, made on first use. Take it once, keep it: the look-up takes a lock.
    pub fn counter(&self, name: &str) -> Counter {
        self.own(|own| own.counters.entry(name.to_owned()).or_default().clone())
    }

    /// The gauge of that name, made on first use.
    pub fn gauge(&self, name: &str) -> Gauge {
        self.own(|own| own.gauges.entry(name.to_owned()).or_default().clone())
    }

    /// Says something in words, such as `state` = `connected to 127.0.0.1:9000`.
    pub fn say(&self, name: &str, text: impl Into<String>) {
        self.own(|own| own.texts.insert(name.to_owned(), text.into()));
    }

    /// What was said under this name last.
    pub fn said(&self, name: &str) -> Option<String> {
        self.own(|own| own.texts.get(name).cloned())
    }

    /// All values as they are now.
    pub fn snapshot(&self) -> Snapshot {
        let mut numbers = BTreeMap::from([
            ("frames_in".to_owned(), self.frames_in.get()),
            ("bytes_in".to_owned(), self.bytes_in.get()),
            ("frames_out".to_owned(), self.frames_out.get()),
            ("bytes_out".to_owned(), self.bytes_out.get()),
            ("rejected".to_owned(), self.rejected.get()),
            ("dropped".to_owned(), self.dropped.get()),
            ("lost".to_owned(), self.lost.get()),
        ]);
        let texts = self.own(|own| {
            numbers.extend(own.counters.iter().map(|(name, value)| (name.clone(), value.get())));
            numbers.extend(own.gauges.iter().map(|(name, value)| (name.clone(), value.get())));
            own.texts.clone()
        });
        Snapshot { numbers, texts }
    }

    fn own<T>(&self, act: impl FnOnce(&mut Own) -> T) -> T {
        act(&mut self.own.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The values of an actor's meters at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Counters and gauges by name.
    pub numbers: BTreeMap<String, u64>,
    /// What the actor says in words.
    pub texts: BTreeMap<String, String>,
}
