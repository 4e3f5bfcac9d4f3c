//! The plugins that ship with Aqueduct, one folder each: code, tests, README and a sample of its table.
//!
//! They are listed by hand, in `sources/mod.rs`, `processors/mod.rs` and `sinks/mod.rs`. No plugin knows another; what
//! the TCP plugins of both sides share is in `net/`, what two Aqueducts say to each other in `link/`, and how frames are written as JSON in `json.rs`.

pub mod json;
pub mod link;
mod net;
pub mod processors;
pub mod sinks;
pub mod sources;
#[cfg(test)]
mod testing;

use aqueduct_framework::plugin::Registry;

/// Adds all of them.
pub fn register(registry: &mut Registry) {
    sources::register(registry);
    processors::register(registry);
    sinks::register(registry);
}
