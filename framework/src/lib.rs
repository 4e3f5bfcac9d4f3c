//! Aqueduct's framework. (Architecture text follows when the parts stand.)

pub mod batch;
pub mod demand;
pub mod error;
pub mod framing;
pub mod receipt;
pub mod spill;
pub mod telemetry;
