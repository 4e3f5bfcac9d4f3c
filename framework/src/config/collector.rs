//! Who gets the spans, and how it is spoken to: the config, or the standard variables
//! (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/>).

use std::fmt;

use http::Uri;
use http::uri::Authority;

use super::mistake::Mistake;
use super::process::{Protocol, TelemetryConfig};
use super::report::Report;
use super::url::{Authorization, without_secrets};

/// A collector that can be spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector {
    /// The URL that requests go to, without secrets: with its path for [`Protocol::Http`], without any for [`Protocol::Grpc`].
    pub endpoint: String,
    /// The user and the password that stood in the URL.
    pub authorization: Option<Authorization>,
    /// How.
    pub protocol: Protocol,
}

/// Why a collector cannot be spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The key or the variable that says so.
    place: &'static str,
    message: String,
    expected: &'static str,
}

/// What a value may come from, the first that is set.
const ENDPOINTS: [&str; 3] = [
    "telemetry.endpoint",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];

/// Without TLS, the way out of a machine is a collector on it.
const PLAIN: &str =
    "an http:// URL: spans go out unencrypted only, so name a collector on this machine and let that one encrypt";

impl TelemetryConfig {
    /// The configured collector, or the one that the variables name; `None` without an endpoint, and under `OTEL_SDK_DISABLED=true` or
    /// `OTEL_TRACES_EXPORTER=none`. `variable` looks one up; an empty one counts as not set, as the specification wants it.
    ///
    /// # Errors
    /// When it is not known how to speak to it.
    pub fn collector(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Option<Collector>, Refused> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let says = |name: &str, what: &str| variable(name).is_some_and(|value| value.eq_ignore_ascii_case(what));
        if says("OTEL_SDK_DISABLED", "true") || says("OTEL_TRACES_EXPORTER", "none") {
            return Ok(None);
        }
        let [key, of_traces, base] = ENDPOINTS;
        let found = (self.endpoint.clone().map(|url| (key, url)))
            .or_else(|| Some((of_traces, variable(of_traces)?)))
            .or_else(|| Some((base, variable(base)?)));
        let Some((place, url)) = found else { return Ok(None) };
        let protocol = match self.protocol {
            Some(protocol) => protocol,
            None => named(variable)?,
        };
        check(&url, protocol).map_err(|(message, expected)| Refused {
            place,
            message,
            expected,
        })?;
        let (url, authorization) = without_user(url);
        let endpoint = match protocol {
            // Only the variable for traces alone names the whole path.
            Protocol::Http if place != of_traces => format!("{}/v1/traces", url.trim_end_matches('/')),
            _ => url,
        };
        Ok(Some(Collector {
            endpoint,
            authorization,
            protocol,
        }))
    }
}

/// The protocol that the variables name; HTTP without one.
fn named(variable: impl Fn(&str) -> Option<String>) -> Result<Protocol, Refused> {
    let found = PROTOCOLS.into_iter().find_map(|place| Some((place, variable(place)?)));
    match found {
        None => Ok(Protocol::Http),
        Some((_, name)) if name == "http/protobuf" => Ok(Protocol::Http),
        Some((_, name)) if name == "grpc" => Ok(Protocol::Grpc),
        Some((place, name)) => Err(Refused {
            place,
            message: format!("`{name}` is not spoken here"),
            expected: "http/protobuf or grpc",
        }),
    }
}

/// A checked URL without its user and password, and these.
fn without_user(url: String) -> (String, Option<Authorization>) {
    let parts = url.split_once("://").and_then(|(scheme, rest)| {
        let authority = rest.split('/').next()?;
        let (user_info, _) = authority.rsplit_once('@')?;
        Some((scheme, user_info, rest.get(user_info.len() + 1..)?))
    });
    match parts {
        Some((scheme, user_info, rest)) => (format!("{scheme}://{rest}"), Some(Authorization::of(user_info))),
        None => (url, None),
    }
}

/// What is wrong with the URL, and what was expected.
fn check(url: &str, protocol: Protocol) -> Result<(), (String, &'static str)> {
    let shown = without_secrets(url);
    let uri: Uri = url
        .parse()
        .map_err(|error| (format!("`{shown}` is no URL: {error}"), PLAIN))?;
    if uri.scheme_str() != Some("http") {
        return Err((format!("`{shown}` is no http:// URL"), PLAIN));
    }
    let misses_port = |of: &Authority| !of.as_str().ends_with(of.host()) && of.port_u16().is_none();
    if uri.authority().is_some_and(misses_port) {
        return Err((format!("`{shown}` has no valid port"), "a port from 1 to 65535"));
    }
    if uri.query().is_some() {
        return Err((format!("`{shown}` has a query"), "a URL without `?`"));
    }
    if protocol == Protocol::Grpc && uri.path() != "/" {
        return Err((
            format!("`{shown}` has a path, which gRPC cannot ask for"),
            "a URL without a path such as http://127.0.0.1:4317, or protocol = \"http\"",
        ));
    }
    Ok(())
}

impl Refused {
    /// The same, where the key stands in the file.
    pub(super) fn mistake(self, report: &Report) -> Mistake {
        let is_key = self.place == ENDPOINTS[0];
        let mut mistake = report.at(if is_key { self.place } else { "" }, self.message);
        if !is_key {
            (mistake.file, mistake.line, mistake.column) = (format!("variable {}", self.place), None, None);
        }
        mistake.expected(self.expected);
        mistake
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; expected {}", self.place, self.message, self.expected)
    }
}

impl std::error::Error for Refused {}
