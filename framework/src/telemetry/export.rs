//! Export of spans over OTLP: a bounded queue and a thread of its own, so that a collector that is slow or gone changes nothing.

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use super::TARGET;
use crate::config::TelemetryConfig;
use crate::error::{Error, Result};

/// A running export. Dropping it sends what is queued, for at most the SDK's timeout of 5 s.
///
/// The SDK's batch processor owns the thread `OpenTelemetry.Traces.BatchProcessor` and a queue of 2,048 spans; spans past it are dropped by it.
pub struct Export {
    provider: SdkTracerProvider,
}

impl Export {
    /// Starts exporting to the configured collector; none without an endpoint.
    ///
    /// # Errors
    /// When the endpoint is no URL.
    pub fn start(config: &TelemetryConfig) -> Result<Option<Self>> {
        let Some(endpoint) = &config.endpoint else {
            return Ok(None);
        };
        let endpoint = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        let exporter = SpanExporter::builder().with_http().with_endpoint(&endpoint).build();
        let exporter =
            exporter.map_err(|error| Error::fatal(format!("[telemetry] endpoint {endpoint}")).because(error))?;
        let resource = Resource::builder()
            .with_service_name(config.service_name.clone())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.build());
        Ok(Some(Self {
            provider: provider.build(),
        }))
    }

    /// The layer that turns pipeline spans into exported ones.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let tracer = self.provider.tracer("aqueduct");
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_filter(filter_fn(|meta| meta.target() == TARGET))
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::warn!("the last spans may not have reached the collector: {error}");
        }
    }
}
