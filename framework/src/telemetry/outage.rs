//! What an operator hears of the collector: when it fails, when it is back, and how many spans it never got.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_otlp::SpanExporter as Otlp;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor};
use tokio::runtime::Runtime;

use super::noted::Noted;
use crate::config::Protocol;

/// Counts of one export. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    made: AtomicU64,
    waiting: AtomicU64,
    unqueued: AtomicU64,
    delivered: AtomicU64,
    is_failing: AtomicBool,
}

impl Counts {
    /// Spans that ended so far.
    pub(super) fn made(&self) -> u64 {
        self.0.made.load(Ordering::Relaxed)
    }

    /// Those of them that found the queue full.
    pub(super) fn unqueued(&self) -> u64 {
        self.0.unqueued.load(Ordering::Relaxed)
    }

    /// Those of them that the collector has not confirmed, for whatever reason.
    pub(super) fn missing(&self) -> u64 {
        self.made().saturating_sub(self.0.delivered.load(Ordering::Relaxed))
    }

    /// Whether the last thing the collector did was to fail.
    pub(super) fn is_failing(&self) -> bool {
        self.0.is_failing.load(Ordering::Relaxed)
    }
}

/// The queue of spans. The SDK's own drops what it has no room for without a word, so the counting is done in front of it.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) inner: BatchSpanProcessor,
    pub(super) limit: u64,
    pub(super) counts: Counts,
    pub(super) noted: Option<Noted>,
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        let counts = &self.counts.0;
        counts.made.fetch_add(1, Ordering::Relaxed);
        if let Some(noted) = &self.noted {
            noted.see(&span);
        }
        if counts.waiting.fetch_add(1, Ordering::Relaxed) < self.limit {
            self.inner.on_end(span);
        } else {
            counts.waiting.fetch_sub(1, Ordering::Relaxed);
            counts.unqueued.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// The exporter, which tells an outage once at its beginning and its end.
///
/// Its connections live on a runtime that runs on the queue's thread, and only while that thread waits for an answer: so neither transport has a
/// thread of its own, and what a collector says in between is heard at the next export.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) exporter: Otlp,
    pub(super) runtime: Runtime,
    pub(super) endpoint: String,
    pub(super) protocol: Protocol,
    pub(super) limit: u64,
    pub(super) counts: Counts,
    /// How many unqueued spans have been told of.
    pub(super) told: AtomicU64,
}

impl SpanExporter for Watched {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        self.counts.0.waiting.fetch_sub(spans, Ordering::Relaxed);
        let result = self.runtime.block_on(self.exporter.export(batch));
        if result.is_ok() {
            self.counts.0.delivered.fetch_add(spans, Ordering::Relaxed);
        }
        self.tell(&result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl Watched {
    fn tell(&self, result: &OTelSdkResult) {
        let (endpoint, counts) = (&self.endpoint, &self.counts);
        let failed_before = counts.0.is_failing.swap(result.is_err(), Ordering::Relaxed);
        match result {
            Ok(()) if failed_before => {
                let missing = counts.missing();
                tracing::info!("the collector at {endpoint} takes spans again; {missing} are lost or still queued");
            }
            Err(error) if !failed_before => {
                let protocol = self.protocol;
                tracing::warn!(
                    "the collector at {endpoint} takes no spans over {protocol} ({error}); the pipelines go on, spans are lost until it does"
                );
            }
            _ => {}
        }
        // At ten times as many the next time, so that a collector that is too slow for days fills no log.
        let (unqueued, told) = (counts.unqueued(), self.told.load(Ordering::Relaxed));
        if unqueued >= told.saturating_mul(10).max(1) {
            self.told.store(unqueued, Ordering::Relaxed);
            let limit = self.limit;
            tracing::warn!(
                "the collector at {endpoint} is slower than spans come: {unqueued} were dropped because {limit} waited already ([telemetry] queue_spans)"
            );
        }
    }
}
