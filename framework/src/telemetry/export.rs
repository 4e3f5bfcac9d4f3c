//! Export of spans over OTLP: a bounded queue and a thread of its own, so that a collector that is slow or gone changes nothing.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use opentelemetry::trace::TracerProvider;
use opentelemetry::{InstrumentationScope, Key, KeyValue};
use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfig, BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider};
use tokio::runtime::{Builder, Runtime};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::registry::LookupSpan;

use super::attributes::SCHEMA_URL;
use super::noted::Noted;
use super::outage::{Counts, Queue, Watched};
use super::{Spans, TARGET};
use crate::config::{Collector, Protocol, TelemetryConfig};
use crate::error::{Error, Result};

/// Spans that may wait, unless the config or a variable says otherwise: the specification's default.
const QUEUE_SPANS: u64 = 2048;

/// How long the last spans may take at the end of the process.
const PATIENCE: Duration = Duration::from_secs(3);

/// The same with a collector that is known to be away: time for the one that has just come back, and no more.
const PATIENCE_IN_AN_OUTAGE: Duration = Duration::from_millis(500);

/// A running export. Dropping it sends what is queued, for at most 3 s.
///
/// The SDK's batch processor owns the thread `OpenTelemetry.Traces.BatchProcessor`, on which the connection to the collector runs too. At most
/// `[telemetry] queue_spans` wait, and one request of at most 512 spans (`OTEL_BSP_MAX_EXPORT_BATCH_SIZE`) is under way; spans past that are
/// dropped, counted, and told.
pub struct Export {
    provider: SdkTracerProvider,
    endpoint: String,
    limit: u64,
    counts: Counts,
    noted: Option<Noted>,
    spans: Spans,
}

impl Export {
    /// Starts exporting to [`TelemetryConfig::collector`], if there is one. Besides its address the standard variables also say which headers
    /// requests carry (`OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_EXPORTER_OTLP_TRACES_HEADERS`), and what else the config leaves open
    /// (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>).
    ///
    /// # Errors
    /// When it is not known how to speak to the collector; whether it is there is not asked.
    pub fn start(config: &TelemetryConfig) -> Result<Option<Self>> {
        Self::start_noting(config, None)
    }

    /// The same, and remembers the longest span of this name for [`Export::longest`].
    ///
    /// # Errors
    /// As [`Export::start`].
    pub fn start_noting(config: &TelemetryConfig, name: Option<&str>) -> Result<Option<Self>> {
        let collector = config
            .collector(variable)
            .map_err(|why| Error::fatal(why.to_string()))?;
        let Some(collector) = collector else { return Ok(None) };
        let cannot = |why: &str| Error::fatal(format!("spans cannot go to {}: {why}", collector.endpoint));
        let runtime = runtime().map_err(|error| cannot("no runtime").because(error))?;
        let exporter = exporter(&collector, config, &runtime).map_err(|error| cannot("no exporter").because(error))?;
        let (limit, counts) = (queue_spans(config), Counts::default());
        let exporter = Watched {
            exporter,
            runtime,
            endpoint: collector.endpoint.clone(),
            protocol: collector.protocol,
            limit,
            counts: counts.clone(),
            told: AtomicU64::default(),
        };
        let noted = name.map(Noted::new);
        let queue = BatchSpanProcessor::builder(exporter).with_batch_config(batches(config, limit));
        let queue = Queue {
            inner: queue.build(),
            limit,
            counts: counts.clone(),
            noted: noted.clone(),
        };
        let provider = SdkTracerProvider::builder()
            .with_span_processor(queue)
            .with_resource(resource(config))
            .build();
        let spans = Spans::new(tracer(&provider), config);
        Ok(Some(Self {
            provider,
            endpoint: collector.endpoint,
            limit,
            counts,
            noted,
            spans,
        }))
    }

    /// Where the spans go: a URL without secrets.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// How long the longest span of the noted name was so far, and its trace id as 32 hexadecimal digits.
    pub fn longest(&self) -> Option<(Duration, String)> {
        self.noted.as_ref()?.longest()
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
            .with_filter(filter_fn(|meta| meta.target() == TARGET).with_max_level_hint(LevelFilter::INFO))
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        let patience = if self.counts.is_failing() {
            PATIENCE_IN_AN_OUTAGE
        } else {
            PATIENCE
        };
        // Why it failed has been said already, or is that no answer came: the count says all there is to add.
        let _ = self.provider.shutdown_with_timeout(patience);
        let (made, missing, unqueued) = (self.counts.made(), self.counts.missing(), self.counts.unqueued());
        if missing > 0 {
            tracing::warn!(
                "{missing} of {made} spans did not reach the collector at {}, {unqueued} of them because {} waited already; no frames are concerned",
                self.endpoint,
                self.limit
            );
        }
    }
}

/// The specification treats an empty variable as one that is not set.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Runs on the thread that waits for it. Only the look-up of a host name, which the system offers in no other way, goes to a thread that ends after it.
fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .thread_name("spans-lookup")
        .build()
}

fn exporter(
    collector: &Collector,
    config: &TelemetryConfig,
    runtime: &Runtime,
) -> std::result::Result<SpanExporter, ExporterBuildError> {
    // Both clients note where their connections are to run.
    let _runs_here = runtime.enter();
    let endpoint = &collector.endpoint;
    let timeout = config.export_timeout.map(|timeout| timeout.duration());
    match collector.protocol {
        Protocol::Http => {
            let headers = collector.authorization.iter();
            let headers = headers.map(|value| ("authorization".to_owned(), value.header().to_owned()));
            let builder = SpanExporter::builder().with_http().with_headers(headers.collect());
            within(builder.with_endpoint(endpoint), timeout).build()
        }
        Protocol::Grpc => {
            let builder = SpanExporter::builder().with_tonic().with_metadata(metadata(collector));
            within(builder.with_endpoint(endpoint), timeout).build()
        }
    }
}

/// With this limit, where the config has one.
fn within<B: WithExportConfig>(builder: B, timeout: Option<Duration>) -> B {
    match timeout {
        Some(timeout) => builder.with_timeout(timeout),
        None => builder,
    }
}

/// The user and the password, marked so that no library logs them.
fn metadata(collector: &Collector) -> MetadataMap {
    let mut headers = HeaderMap::new();
    let value = collector.authorization.as_ref();
    if let Some(mut value) = value.and_then(|value| HeaderValue::from_str(value.header()).ok()) {
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    MetadataMap::from_headers(headers)
}

fn queue_spans(config: &TelemetryConfig) -> u64 {
    let of_variable = || {
        variable("OTEL_BSP_MAX_QUEUE_SIZE")?
            .parse()
            .ok()
            .filter(|spans| *spans > 0)
    };
    let configured = config.queue_spans.map(|spans| u64::from(spans.get()));
    configured.or_else(of_variable).unwrap_or(QUEUE_SPANS)
}

fn batches(config: &TelemetryConfig, queue_spans: u64) -> BatchConfig {
    let batches = BatchConfigBuilder::default().with_max_queue_size(usize::try_from(queue_spans).unwrap_or(usize::MAX));
    match config.export_interval {
        Some(interval) => batches.with_scheduled_delay(interval.duration()).build(),
        None => batches.build(),
    }
}

/// The SDK's detectors read `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`; a name in the config outranks them. Every run is an instance of
/// its own, by which backends tell the spans before a restart from those behind it.
fn resource(config: &TelemetryConfig) -> Resource {
    let detected = Resource::builder().build();
    let instance = Key::new("service.instance.id");
    let instance = detected.get(&instance).unwrap_or_else(|| random_uuid().into());
    let named = detected.get(&Key::new("service.name"));
    let is_named = named.is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    let resource = Resource::builder().with_attributes([
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", instance),
    ]);
    match &config.service_name {
        Some(name) => resource.with_service_name(name.clone()),
        None if is_named => resource,
        None => resource.with_service_name("aqueduct"),
    }
    .build()
}

/// A random UUID of version 4 (RFC 9562), as the conventions recommend for `service.instance.id`.
fn random_uuid() -> String {
    let (version, variant) = (0x4 << 76, 0x2 << 62);
    let bits = fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62) | version | variant;
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn tracer(provider: &SdkTracerProvider) -> SdkTracer {
    let scope = InstrumentationScope::builder("aqueduct")
        .with_version(env!("CARGO_PKG_VERSION"))
        .with_schema_url(SCHEMA_URL);
    provider.tracer_with_scope(scope.build())
}
