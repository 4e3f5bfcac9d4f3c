//! `--trace`: the spans of act 3 go to a collector, and the audience hears which trace to look at.

use std::net::{TcpStream, ToSocketAddrs};

use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use crate::framework::config::{Protocol, TelemetryConfig, without_secrets};
use crate::framework::telemetry::{Export, Spans};
use crate::framework::units::Period;

/// What waits in the store shows the story best.
const WAIT: &str = "spill drain";
/// Of some ten thousand batches; enough to look at, and no more than a small backend keeps.
const SAMPLE_RATIO: f64 = 0.1;
/// Where Jaeger shows traces, on the collector's machine.
const UI_PORT: u16 = 16686;

/// The running export.
pub(super) struct Tracing {
    export: Export,
    host: String,
}

impl Tracing {
    /// Starts it.
    ///
    /// # Errors
    /// When the URL is none, or nobody listens there: what to start.
    pub(super) fn start(endpoint: &str) -> Result<Self, String> {
        let config = TelemetryConfig {
            endpoint: Some(endpoint.to_owned()),
            protocol: Some(Protocol::Http),
            service_name: Some("legacy-feed-demo".to_owned()),
            sample_ratio: SAMPLE_RATIO,
            export_interval: Some(Period::milliseconds(200)),
            ..TelemetryConfig::default()
        };
        let export = Export::start_noting(&config, Some(WAIT)).map_err(|error| error.to_string())?;
        let export = export.ok_or("--trace, but OTEL_SDK_DISABLED or OTEL_TRACES_EXPORTER forbid it")?;
        let host = reach(export.endpoint()).map_err(|error| {
            format!(
                "nobody takes spans at {} ({error}). Start the collector of the examples in another terminal, and try again:\n\
                 \x20 cargo run --manifest-path examples/jaeger/Cargo.toml -- --collector",
                without_secrets(endpoint)
            )
        })?;
        Ok(Self { export, host })
    }

    /// What the pipeline makes its spans with.
    pub(super) fn spans(&self) -> Spans {
        self.export.spans()
    }

    /// What exports them.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    {
        self.export.layer()
    }

    /// Sends what is queued, and says what to look at.
    pub(super) fn finish(self) -> String {
        let longest = self.export.longest();
        drop(self.export);
        let host = self.host;
        match longest {
            Some((wait, trace)) => format!(
                "Of every tenth batch there is a trace. Look at the one that waited longest, {:.1} s in `drain`: http://{host}:{UI_PORT}/trace/{trace}\n\
                 All traces: http://{host}:{UI_PORT}/search?service=legacy-feed-demo&limit=20&lookback=1h",
                wait.as_secs_f64()
            ),
            None => "No batch was traced.".to_owned(),
        }
    }
}

/// The collector's host, once it has been reached.
fn reach(endpoint: &str) -> std::io::Result<String> {
    let authority = endpoint
        .trim_start_matches("http://")
        .split('/')
        .next()
        .unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().unwrap_or(80)),
        _ => (authority, 80),
    };
    let addresses = (host.trim_matches(['[', ']']), port).to_socket_addrs()?;
    TcpStream::connect(&*addresses.collect::<Vec<_>>())?;
    Ok(host.to_owned())
}
