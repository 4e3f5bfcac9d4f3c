//! What the outside sees of a pipeline: meters, spans, logs.

mod attributes;
mod clock;
mod collector;
mod context;
mod export;
mod follow;
pub mod messages;
mod meters;
mod open_span;
mod pressing;
mod sampling;
#[cfg(test)]
mod tests;
mod trace;
mod traceparent;
mod work_span;

pub use clock::now_ns;
pub use context::{TraceContext, Wait};
pub use export::Export;
pub use follow::{MESSAGE_ID, MESSAGE_TRACEPARENT};
pub use meters::{Counter, Gauge, Meters, Snapshot};
pub use open_span::OpenSpan;
pub(crate) use pressing::WatchedEdge;
pub use trace::{Spans, Tracer};
pub use traceparent::Traceparent;
pub use work_span::WorkSpan;

/// The `tracing` target of pipeline spans, by which the exporting layer selects them.
pub const TARGET: &str = "aqueduct::pipeline";
