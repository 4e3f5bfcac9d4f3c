//! `demo --trace`: the trace that it names is there, whole.

use super::{Collector, STEPS};
use crate::harness::Folder;

#[test]
fn the_demo_names_a_trace_that_has_arrived() {
    let (folder, collector) = (Folder::new(), Collector::open());
    let output = folder.aqueduct(&["demo", "--quick", "--trace", &collector.endpoint]);
    let told = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}{complaint}");
    let named = told
        .split(":16686/trace/")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next());
    let named = named.unwrap_or_else(|| panic!("a trace to look at: {told}"));
    let spans = collector.spans();
    let of_trace = |span: &[u8]| span.iter().map(|byte| format!("{byte:02x}")).collect::<String>() == named;
    for step in STEPS {
        let found = spans.named(step).into_iter().any(|seen| of_trace(&seen.span.trace_id));
        assert!(found, "no `{step}` in trace {named}");
    }
}
