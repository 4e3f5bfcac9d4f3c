//! What an operator hears of the collector: when it fails, when it is back, and how many spans it never got.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};

/// Counts of one export. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub(super) struct Collected(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    made: AtomicU64,
    delivered: AtomicU64,
    failing: AtomicBool,
}

impl Collected {
    /// Spans that ended so far.
    pub(super) fn made(&self) -> u64 {
        self.0.made.load(Ordering::Relaxed)
    }

    /// Those of them that the collector has not confirmed.
    pub(super) fn missing(&self) -> u64 {
        self.made().saturating_sub(self.0.delivered.load(Ordering::Relaxed))
    }

    /// Whether the last thing the collector did was to fail.
    pub(super) fn is_failing(&self) -> bool {
        self.0.failing.load(Ordering::Relaxed)
    }
}

/// Counts the spans on their way into the queue, where those that find it full are dropped without a word.
impl SpanProcessor for Collected {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, _: SpanData) {
        self.0.made.fetch_add(1, Ordering::Relaxed);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// An exporter that tells an outage once, at its beginning, and its end.
#[derive(Debug)]
pub(super) struct Watched<E> {
    pub(super) exporter: E,
    pub(super) endpoint: String,
    pub(super) collected: Collected,
}

impl<E: SpanExporter> SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let (spans, counts, endpoint) = (batch.len() as u64, &self.collected.0, &self.endpoint);
        let result = self.exporter.export(batch).await;
        let failed_before = counts.failing.swap(result.is_err(), Ordering::Relaxed);
        match &result {
            Ok(()) => {
                counts.delivered.fetch_add(spans, Ordering::Relaxed);
                if failed_before {
                    tracing::info!("the collector at {endpoint} takes spans again");
                }
            }
            Err(error) if !failed_before => {
                tracing::warn!(
                    "the collector at {endpoint} takes no spans ({error}); the pipelines go on, spans are lost until it does"
                );
            }
            Err(_) => {}
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.exporter.shutdown()
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
