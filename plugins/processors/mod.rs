//! Processors: what happens to frames on their way.

#[cfg(test)]
mod conformance;
pub mod delay;
pub mod filter;
pub mod rewrite;
pub mod throttle;
pub mod verify;

use aqueduct_framework::plugin::Registry;

/// Adds them all.
pub fn register(registry: &mut Registry) {
    registry
        .processor::<delay::Delay>()
        .processor::<filter::Filter>()
        .processor::<rewrite::Rewrite>()
        .processor::<throttle::Throttle>()
        .processor::<verify::Verify>();
}
