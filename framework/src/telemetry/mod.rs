//! What the outside sees of a pipeline: meters, spans, logs.

mod clock;
mod export;
mod meters;
mod trace;

pub use clock::now_ns;
pub use export::Export;
pub use meters::{Counter, Gauge, Meters, Snapshot};
pub use trace::{TARGET, TraceContext, Tracer};
