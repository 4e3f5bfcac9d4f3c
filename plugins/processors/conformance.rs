//! Every processor keeps the contract of its trait.

use aqueduct_framework::config::Role;
use aqueduct_framework::plugin::Registry;
use aqueduct_framework::testing::conformance::processor;

use super::{delay, filter, rewrite, throttle, verify};

#[test]
fn every_processor_conforms() {
    let mut registry = Registry::default();
    super::register(&mut registry);
    for about in registry.all(Role::Processor) {
        match about.info.name.as_str() {
            "delay" => processor::<delay::Delay>().options("per_batch = \"1ms\"").check(),
            "filter" => processor::<filter::Filter>().check(),
            "rewrite" => processor::<rewrite::Rewrite>().check(),
            "throttle" => processor::<throttle::Throttle>().check(),
            "verify" => processor::<verify::Verify>().check(),
            name => panic!("nobody holds the processor `{name}` to its contract: add it here"),
        }
    }
}
