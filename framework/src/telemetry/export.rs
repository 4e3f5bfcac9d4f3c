//! Export of spans over OTLP: a bounded queue and a thread of its own, so that a collector that is slow or gone changes nothing.

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry::{InstrumentationScope, Key, KeyValue};
use opentelemetry_otlp::{
    OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, SpanExporter, WithExportConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use super::attributes::SCHEMA_URL;
use super::collector::{Collected, Watched};
use super::{Spans, TARGET};
use crate::config::TelemetryConfig;
use crate::error::{Error, Result};

/// How long the last spans may take at the end of the process.
const PATIENCE: Duration = Duration::from_secs(3);

/// The same with a collector that is known to be away: time for the one that has just come back, and no more.
const PATIENCE_IN_AN_OUTAGE: Duration = Duration::from_millis(500);

/// A running export. Dropping it sends what is queued, for at most 3 s.
///
/// The SDK's batch processor owns the thread `OpenTelemetry.Traces.BatchProcessor` and a queue of 2,048 spans
/// (`OTEL_BSP_MAX_QUEUE_SIZE`); spans past it are dropped, and counted at the end.
pub struct Export {
    provider: SdkTracerProvider,
    endpoint: String,
    collected: Collected,
    spans: Spans,
}

impl Export {
    /// Starts exporting to the configured collector, or to the one that the standard variables `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` and
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` name; none without an endpoint, and none under `OTEL_SDK_DISABLED=true`
    /// (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>).
    ///
    /// # Errors
    /// When the endpoint is no `http://` URL.
    pub fn start(config: &TelemetryConfig) -> Result<Option<Self>> {
        let Some(endpoint) = endpoint(config) else {
            return Ok(None);
        };
        if !endpoint.starts_with("http://") {
            return Err(Error::fatal(format!(
                "[telemetry] endpoint {endpoint} is no http:// URL; spans go out unencrypted only: name a collector on this machine, such as http://127.0.0.1:4318, and let that one encrypt"
            )));
        }
        let exporter = SpanExporter::builder().with_http().with_endpoint(&endpoint).build();
        let exporter =
            exporter.map_err(|error| Error::fatal(format!("[telemetry] endpoint {endpoint}")).because(error))?;
        let collected = Collected::default();
        let exporter = Watched {
            exporter,
            endpoint: endpoint.clone(),
            collected: collected.clone(),
        };
        let provider = SdkTracerProvider::builder()
            .with_span_processor(collected.clone())
            .with_batch_exporter(exporter)
            .with_resource(resource(config))
            .build();
        let spans = Spans::new(tracer(&provider), config);
        Ok(Some(Self {
            provider,
            endpoint,
            collected,
            spans,
        }))
    }

    /// Where the spans go.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What the pipelines make their spans with.
    pub fn spans(&self) -> Spans {
        self.spans.clone()
    }

    /// The layer that turns pipeline spans into exported ones.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(tracer(&self.provider))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(|meta| meta.target() == TARGET))
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        let patience = if self.collected.is_failing() {
            PATIENCE_IN_AN_OUTAGE
        } else {
            PATIENCE
        };
        // Why it failed has been said already, or is that no answer came: the count says all there is to add.
        let _ = self.provider.shutdown_with_timeout(patience);
        let (missing, made) = (self.collected.missing(), self.collected.made());
        if missing > 0 {
            tracing::warn!(
                "{missing} of {made} spans did not reach the collector at {}; no frames are concerned",
                self.endpoint
            );
        }
    }
}

fn endpoint(config: &TelemetryConfig) -> Option<String> {
    if variable("OTEL_SDK_DISABLED").is_some_and(|disabled| disabled.eq_ignore_ascii_case("true")) {
        return None;
    }
    let below = |base: String| format!("{}/v1/traces", base.trim_end_matches('/'));
    let configured = config.endpoint.clone().map(below);
    configured
        .or_else(|| variable(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT))
        .or_else(|| variable(OTEL_EXPORTER_OTLP_ENDPOINT).map(below))
}

/// The specification treats an empty variable as one that is not set.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The SDK's detectors read `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`; a name in the config outranks them.
fn resource(config: &TelemetryConfig) -> Resource {
    let detected = Resource::builder().build();
    let named = detected.get(&Key::new("service.name"));
    let is_named = named.is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    let resource = Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    match &config.service_name {
        Some(name) => resource.with_service_name(name.clone()),
        None if is_named => resource,
        None => resource.with_service_name("aqueduct"),
    }
    .build()
}

fn tracer(provider: &SdkTracerProvider) -> SdkTracer {
    let scope = InstrumentationScope::builder("aqueduct")
        .with_version(env!("CARGO_PKG_VERSION"))
        .with_schema_url(SCHEMA_URL);
    provider.tracer_with_scope(scope.build())
}
