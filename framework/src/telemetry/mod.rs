//! What the outside sees of a pipeline: meters, spans, logs.

mod clock;
mod collector;
mod context;
mod export;
pub mod messages;
mod meters;
mod open_span;
#[cfg(test)]
mod tests;
mod trace;
mod traceparent;

pub use clock::now_ns;
pub use context::TraceContext;
pub use export::Export;
pub use meters::{Counter, Gauge, Meters, Snapshot};
pub use open_span::OpenSpan;
pub use trace::{Spans, Tracer};
pub use traceparent::Traceparent;

/// The `tracing` target of pipeline spans, by which the exporting layer selects them.
pub const TARGET: &str = "aqueduct::pipeline";
