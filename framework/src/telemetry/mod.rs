//! What the outside sees of a pipeline: meters, spans, logs.

mod meters;
mod trace;

pub use meters::{Counter, Gauge, Meters, Snapshot};
pub use trace::TraceContext;
