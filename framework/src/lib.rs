//! Aqueduct's framework. (Architecture text follows when the parts stand.)

pub mod actors;
pub mod backoff;
pub mod batch;
pub mod config;
pub mod demand;
pub mod error;
pub mod framing;
pub mod mailbox;
pub mod pipeline;
pub mod plugin;
pub mod receipt;
pub mod shutdown;
pub mod spill;
pub mod supervisor;
pub mod telemetry;
pub mod testing;
pub mod units;
