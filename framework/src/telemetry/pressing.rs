//! Pressure as spans see it: which edges out of an actor did not flow while its batch was made ready.

use std::cell::Cell;
use std::sync::Arc;

use opentelemetry::KeyValue;

use super::Gauge;
use crate::mailbox::EdgeMeters;
use crate::pipeline::{Pressure, pressure};

/// One edge out of an actor, and what was seen of it when the last span was made.
#[derive(Debug, Clone)]
pub(crate) struct WatchedEdge {
    name: Arc<str>,
    meters: EdgeMeters,
    /// 1 while the store at its end writes to disk.
    spilling: Option<Gauge>,
    seen: Cell<Look>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Look {
    at_ns: u64,
    waited_ns: u64,
}

impl WatchedEdge {
    /// The edge as the flow writes it; `spilling` is a gauge of the store it leads to.
    pub(crate) fn new(name: &str, meters: EdgeMeters, spilling: Option<Gauge>) -> Self {
        Self {
            name: name.into(),
            meters,
            spilling,
            seen: Cell::default(),
        }
    }

    /// The attributes of the event that tells its pressure since the last look; none when it flowed.
    /// `now_ns` counts from the system's start.
    pub(super) fn pressure(&self, now_ns: u64) -> Option<Vec<KeyValue>> {
        let now = Look {
            at_ns: now_ns,
            waited_ns: self.meters.waited_ns.get(),
        };
        let before = self.seen.replace(now);
        let waited_ns = now.waited_ns.saturating_sub(before.waited_ns);
        let waiting_ns = match self.meters.waiting_since_ns.get() {
            // The wait that has just ended is why this batch comes late.
            0 if waited_ns > 0 => self.meters.last_wait_ns.get(),
            0 => 0,
            since => now_ns.saturating_sub(since),
        };
        let between_ns = if before.at_ns == 0 {
            0
        } else {
            now_ns.saturating_sub(before.at_ns)
        };
        let spilling = self.spilling.as_ref().is_some_and(|spilling| spilling.get() == 1);
        let name = match pressure(waiting_ns, waited_ns as f64 / 1e9, between_ns as f64 / 1e9, spilling) {
            Pressure::Flowing => return None,
            Pressure::Saturated => "saturated",
            Pressure::Spilling => "spilling",
            Pressure::Blocked => "blocked",
        };
        Some(vec![
            KeyValue::new("aqueduct.edge", self.name.clone()),
            KeyValue::new("aqueduct.pressure", name),
            KeyValue::new("aqueduct.waited_s", waiting_ns.max(waited_ns) as f64 / 1e9),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn state(edge: &WatchedEdge, now_ns: u64) -> Option<String> {
        let attributes = edge.pressure(now_ns)?;
        Some(attributes[1].value.as_str().into_owned())
    }

    #[test]
    fn it_tells_what_has_happened_since_the_last_look() {
        let (meters, spilling) = (EdgeMeters::default(), Gauge::default());
        let edge = WatchedEdge::new("a -> b", meters.clone(), Some(spilling.clone()));
        assert_eq!(state(&edge, 10 * SECOND), None);
        meters.waited_ns.add(SECOND * 6 / 10);
        assert_eq!(state(&edge, 11 * SECOND), Some("saturated".into()));
        assert_eq!(state(&edge, 12 * SECOND), None, "that wait was told");
        meters.waiting_since_ns.set(12 * SECOND);
        assert_eq!(state(&edge, 14 * SECOND), Some("blocked".into()));
        meters.waiting_since_ns.set(0);
        meters.waited_ns.add(2 * SECOND);
        meters.last_wait_ns.set(2 * SECOND);
        assert_eq!(
            state(&edge, 40 * SECOND),
            Some("blocked".into()),
            "the wait has ended since"
        );
        spilling.set(1);
        assert_eq!(state(&edge, 41 * SECOND), Some("spilling".into()));
    }
}
