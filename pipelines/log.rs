//! The log, and the export of spans: set up once, at the start of the process.

use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::prelude::*;
use tracing_subscriber::{Layer, Registry};

use crate::framework::config::{LogConfig, LogFormat, TelemetryConfig};
use crate::framework::telemetry::{Export, TARGET};
use crate::live::Screen;

/// Logs to standard error and, when a collector is configured, exports spans until the result is dropped.
///
/// # Errors
/// When the log level is no filter, or the exporter refuses its endpoint.
pub(crate) fn start(log: &LogConfig, telemetry: &TelemetryConfig, screen: &Screen) -> Result<Option<Export>, String> {
    let filter = EnvFilter::try_new(&log.level).map_err(|error| format!("[log] level `{}`: {error}", log.level))?;
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(screen.clone())
        .with_target(false);
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match log.format {
        LogFormat::Text => layer.with_ansi(Screen::has_colours()).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    let layer = layer
        .with_filter(filter)
        .with_filter(filter_fn(|meta| meta.target() != TARGET));
    let export = Export::start(telemetry).map_err(|error| error.to_string())?;
    let spans = export.as_ref().map(Export::layer);
    let started = tracing_subscriber::registry().with(layer).with(spans).try_init();
    started.map_err(|error| format!("the log cannot be started: {error}"))?;
    if let Some(export) = &export {
        tracing::info!("spans go to {}", export.endpoint());
    }
    Ok(export)
}
