//! The plugins that ship with Aqueduct: one folder each, listed by hand.

pub mod processors;

use aqueduct_framework::plugin::Registry;

/// Adds every shipped plugin.
pub fn register(registry: &mut Registry) {
    processors::register(registry);
}
