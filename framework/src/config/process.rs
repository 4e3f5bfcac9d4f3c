//! Settings of the whole process, in the file of a single pipeline or in one given for them.

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::messages::MessagesConfig;
use crate::units::{ByteSize, Period};

/// The JSON schemas of the process-wide tables, by name.
pub fn process_schemas() -> [(&'static str, serde_json::Value); 4] {
    [
        ("telemetry", schemars::schema_for!(TelemetryConfig)),
        ("log", schemars::schema_for!(LogConfig)),
        ("admin", schemars::schema_for!(AdminConfig)),
        ("shutdown", schemars::schema_for!(ShutdownConfig)),
    ]
    .map(|(name, schema)| (name, schema.to_value()))
}

/// The process-wide tables.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProcessConfig {
    /// `[telemetry]`
    pub telemetry: TelemetryConfig,
    /// `[log]`
    pub log: LogConfig,
    /// `[admin]`
    pub admin: AdminConfig,
    /// `[shutdown]`
    pub shutdown: ShutdownConfig,
}

/// Where spans go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// URL of an OTLP collector, such as `http://127.0.0.1:4318`. Unset: what `OTEL_EXPORTER_OTLP_ENDPOINT` says; without it nothing is exported.
    /// A user and a password in it (`http://user:password@...`, what is special as `%40`) are sent as basic authentication, and never shown.
    pub endpoint: Option<String>,
    /// How the collector is spoken to. Unset: what `OTEL_EXPORTER_OTLP_PROTOCOL` says, or `http`. Collectors usually listen on port 4318 for
    /// `http` and on 4317 for `grpc`.
    pub protocol: Option<Protocol>,
    /// How long the collector may take to answer one request. Unset: what `OTEL_EXPORTER_OTLP_TIMEOUT` says, or 10 s.
    #[schemars(extend("minimum" = 1))]
    pub export_timeout: Option<Period>,
    /// The longest that a span waits before it is sent. Unset: what `OTEL_BSP_SCHEDULE_DELAY` says, or 5 s.
    #[schemars(extend("minimum" = 1))]
    pub export_interval: Option<Period>,
    /// Spans that may wait for the collector; those that find the queue full are dropped, and counted. A span takes about 1 KiB. Unset: what
    /// `OTEL_BSP_MAX_QUEUE_SIZE` says, or 2,048.
    pub queue_spans: Option<NonZeroU32>,
    /// Share of the traces that are made, 0 to 1; decided at their first span.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub sample_ratio: f64,
    /// Traces begun per second and source, at most. Unset: no bound.
    #[schemars(range(min = 1))]
    pub max_traces_per_second: Option<u32>,
    /// A batch that waited longer in a spill store begins a trace of its own, linked to the one before.
    pub split_after: Period,
    /// `service.name` of every span. Unset: what `OTEL_SERVICE_NAME` says, or `aqueduct`.
    #[schemars(length(min = 1))]
    pub service_name: Option<String>,
    /// What is traced though it was not chosen.
    pub always: AlwaysConfig,
    /// Which frames get spans of their own. Unset: none, and nothing is looked at.
    pub messages: Option<MessagesConfig>,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            endpoint: None,
            protocol: None,
            export_timeout: None,
            export_interval: None,
            queue_spans: None,
            sample_ratio: 1.0,
            max_traces_per_second: None,
            split_after: Period::seconds(60),
            service_name: None,
            always: AlwaysConfig::default(),
            messages: None,
        }
    }
}

/// Which batches are traced although `sample_ratio` or `max_traces_per_second` left them out: those in trouble. Their traces are made when the
/// reason is found, with the true times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AlwaysConfig {
    /// A batch with a frame that is rejected.
    pub rejected: bool,
    /// A batch that one actor tries again more often.
    pub retries: u32,
    /// A batch that waits longer in one spill store.
    pub waited: Period,
    /// Such traces per second and actor, at most; 0 for none at all. Those past it are counted as `late_traces_not_made`.
    pub max_per_second: u32,
}

impl Default for AlwaysConfig {
    fn default() -> Self {
        Self {
            rejected: true,
            retries: 3,
            waited: Period::seconds(60),
            max_per_second: 10,
        }
    }
}

/// OTLP's transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Protobuf over HTTP/1.1.
    Http,
    /// gRPC.
    Grpc,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
        })
    }
}

/// How the log looks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// For people or for machines.
    pub format: LogFormat,
    /// A level (`error`, `warn`, `info`, `debug`, `trace`), or a filter such as `info,aqueduct=debug`.
    #[schemars(length(min = 1))]
    pub level: String,
    /// Lines that may wait when standard error is not read. Those that find no room are dropped, counted and told; pipelines never wait for them.
    #[schemars(range(min = 4096))]
    pub queue_bytes: ByteSize,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::default(),
            level: "info".into(),
            queue_bytes: ByteSize::mib(1),
        }
    }
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// To be read on a terminal.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Where `status` asks, and where `explain` reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// The Unix socket, relative to the file; absolute once loaded. Unset: found by the pipeline's name.
    pub socket: Option<PathBuf>,
    /// The folder of the reports about connections, `NAME.reports` for each pipeline; relative to the file, absolute once loaded. Unset: where the
    /// socket would be without `socket`, which a reboot may empty.
    pub reports: Option<PathBuf>,
    /// Disk space of one pipeline's reports at most; past it the older half goes.
    #[schemars(range(min = 16384))]
    pub reports_bytes: ByteSize,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self {
            socket: None,
            reports: None,
            reports_bytes: ByteSize::mib(1),
        }
    }
}

/// How the process ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ShutdownConfig {
    /// How long what is in flight may take to finish before it is dropped, and counted.
    pub deadline: Period,
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        Self {
            deadline: Period::seconds(10),
        }
    }
}
