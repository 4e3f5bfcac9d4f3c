//! Processors.

use aqueduct_framework::plugin::Registry;

/// Adds every processor.
pub fn register(_: &mut Registry) {}
