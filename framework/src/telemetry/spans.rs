//! What is decided for the whole process: by what spans are made, and which.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_sdk::trace::SdkTracer;

use super::follow::Following;
use super::sampling::{Head, Late};
use crate::config::TelemetryConfig;

/// What the spans of a process are made with. Cloning shares it; the default makes none.
#[derive(Debug, Clone, Default)]
pub struct Spans(pub(super) Option<Arc<Making>>);

#[derive(Debug)]
pub(super) struct Making {
    pub(super) tracer: SdkTracer,
    pub(super) head: Head,
    pub(super) split_after_ns: u64,
    /// None when nothing is traced late.
    pub(super) late: Option<Late>,
    pub(super) late_per_second: u32,
    pub(super) following: Option<Following>,
}

impl Spans {
    /// Spans made with `tracer`, and chosen as `[telemetry]` says.
    pub(super) fn new(tracer: SdkTracer, config: &TelemetryConfig) -> Self {
        let nanoseconds = |period: Duration| u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
        let always = &config.always;
        Self(Some(Arc::new(Making {
            tracer,
            head: Head::new(config.sample_ratio, config.max_traces_per_second),
            split_after_ns: nanoseconds(config.split_after.duration()),
            late: (always.max_per_second > 0).then(|| Late {
                rejected: always.rejected,
                retries: always.retries,
                waited_ns: nanoseconds(always.waited.duration()),
            }),
            late_per_second: always.max_per_second,
            following: config.messages.as_ref().map(Following::new),
        })))
    }
}
