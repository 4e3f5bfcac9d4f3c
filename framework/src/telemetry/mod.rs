//! What the outside sees of a pipeline: meters, spans, logs.
//!
//! # Spans
//! | span | kind | when | file |
//! |---|---|---|---|
//! | `receive SOURCE` | consumer | from the first byte read until the batch is sent on; of a batch that was made elsewhere, the moment when it is | `trace.rs` |
//! | `spill STORE` | internal | made when the batch is handed down, with the true start of its wait, whatever process it began in | `trace.rs` |
//! | `process PROCESSOR` | internal | around the plugin's work on the batch, retries included | `work_span.rs` |
//! | `send SINK` | producer | around the delivery, reconnects included | `work_span.rs` |
//!
//! A batch carries the [`TraceContext`] of its last span, also through a store; the next span is its child. With `[telemetry.messages]` chosen frames have
//! such spans of their own beside those of their batch, in traces of their own (`follow.rs`); a frame is as long at an actor as its batch. Each is linked
//! to the batch's span at the same actor, if there is one.
//!
//! - **Who is traced** is decided at the source, before a span is made: `sample_ratio`, then `max_traces_per_second`. A batch in trouble
//!   (`[telemetry.always]`) is traced from then on; what came before is made up from the times that it carries. Branches of a fan-out that get in
//!   trouble apart do so in traces apart.
//! - **Events**: `retry` and `rejected`, with `error.message`; `pressure`, with `aqueduct.edge`, `aqueduct.pressure` (saturated, spilling,
//!   blocked) and `aqueduct.waited_s`, on the span of the batch that comes late for it.
//! - **Links** stand where a long wait has split a trace, and from messages to batches, and where batches are
//!   joined ([`WorkSpan::joined`]; at most 128, `OTEL_SPAN_LINK_COUNT_LIMIT`).
//! - **Bounds**: `max_traces_per_second` per source; `[telemetry.always] max_per_second` per actor; `[telemetry.messages] max_per_second` and
//!   `max_examined_per_second` per source. What they leave out is counted as `late_traces_not_made` and `messages_not_examined`.
//!   `queue_spans` wait for the collector at most, and a request ends after `export_timeout`; what finds the queue full is counted in the log.
//! - **Redelivery repeats spans**, as it repeats frames: what was handed down twice has two spans `spill STORE`.

mod actor_spans;
mod attributes;
mod clock;
mod context;
mod export;
mod follow;
pub mod messages;
mod meters;
mod noted;
mod open_span;
mod outage;
mod pressing;
mod sampling;
mod spans;
#[cfg(test)]
mod tests;
mod trace;
mod traceparent;
mod work_span;

pub use clock::{now_ns, uptime_ns};
pub use context::{TraceContext, Wait};
pub use export::Export;
pub use follow::{MESSAGE_ID, MESSAGE_TRACEPARENT};
pub use meters::{Counter, Gauge, Meters, Snapshot};
pub use open_span::OpenSpan;
pub(crate) use pressing::WatchedEdge;
pub use spans::Spans;
pub use trace::Tracer;
pub use traceparent::Traceparent;
pub use work_span::WorkSpan;

/// The `tracing` target of pipeline spans, by which the exporting layer selects them.
pub const TARGET: &str = "aqueduct::pipeline";
