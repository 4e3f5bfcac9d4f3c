//! What a dead letter says of itself, as attributes that travel with the frame, through spill stores too.

use std::time::{Duration, UNIX_EPOCH};

use crate::telemetry::{TraceContext, now_ns};

/// Attribute of a dead letter: why it was rejected.
pub const REASON: &str = "aqueduct.rejected.reason";
/// Attribute of a dead letter: the actor that rejected it.
pub const ACTOR: &str = "aqueduct.rejected.actor";
/// Attribute of a dead letter: when, in UTC (RFC 3339).
pub const TIME: &str = "aqueduct.rejected.time";
/// Attribute of a dead letter: the trace it was rejected in, 32 hexadecimal digits: its batch's, or the one that the message has of its own. Absent when
/// there is neither.
pub const TRACE_ID: &str = "aqueduct.rejected.trace_id";

/// The rejection of a frame.
#[derive(Debug)]
pub(crate) struct Rejection<'a> {
    reason: &'a str,
    actor: &'a str,
    at_ns: u64,
    trace_id: Option<String>,
}

impl<'a> Rejection<'a> {
    /// That `actor` rejects a frame now, for this reason, in this trace.
    pub(crate) fn now(actor: &'a str, reason: &'a str, trace: Option<TraceContext>) -> Self {
        Self {
            reason,
            actor,
            at_ns: now_ns(),
            trace_id: trace.map(TraceContext::id),
        }
    }

    /// As attributes.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&'static str, String)> {
        let time = humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_nanos(self.at_ns));
        let always = [
            (REASON, self.reason.to_owned()),
            (ACTOR, self.actor.to_owned()),
            (TIME, time.to_string()),
        ];
        always.into_iter().chain(self.trace_id.clone().map(|id| (TRACE_ID, id)))
    }
}
