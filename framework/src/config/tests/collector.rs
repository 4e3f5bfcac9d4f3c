//! Who gets the spans.

use std::num::NonZeroU32;
use std::path::PathBuf;

use super::catalog::Fake;
use super::files::{Files, variables};
use crate::config::{LoadOptions, Protocol, TelemetryConfig, load};
use crate::units::Period;

/// The endpoint and the protocol of a table's keys, with these variables.
fn collector(keys: &str, environment: &[(&str, &str)]) -> Result<Option<(String, Protocol)>, String> {
    let config: TelemetryConfig = toml::from_str(keys).unwrap();
    let variable = |name: &str| {
        environment
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| (*value).into())
    };
    let found = config.collector(variable).map_err(|why| why.to_string())?;
    Ok(found.map(|collector| (collector.endpoint, collector.protocol)))
}

const BASE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const TRACES_PROTOCOL: &str = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL";

#[test]
fn the_path_is_appended_where_the_specification_wants_it() {
    use Protocol::{Grpc, Http};
    for (keys, environment, endpoint, protocol) in [
        (
            "endpoint = \"http://a:4318\"",
            [("", ""); 2],
            "http://a:4318/v1/traces",
            Http,
        ),
        (
            "endpoint = \"http://a/b/\"",
            [("", ""); 2],
            "http://a/b/v1/traces",
            Http,
        ),
        (
            "endpoint = \"http://[::1]:4317\"\nprotocol = \"grpc\"",
            [("", ""); 2],
            "http://[::1]:4317",
            Grpc,
        ),
        ("", [(BASE, "http://a/"), ("", "")], "http://a/v1/traces", Http),
        ("", [(BASE, "http://a"), (TRACES, "http://b/c")], "http://b/c", Http),
        ("", [(BASE, "http://a"), (PROTOCOL, "grpc")], "http://a", Grpc),
        (
            "protocol = \"http\"",
            [(BASE, "http://a"), (PROTOCOL, "grpc")],
            "http://a/v1/traces",
            Http,
        ),
        (
            "endpoint = \"http://a\"",
            [(TRACES, "http://b"), (TRACES_PROTOCOL, "grpc")],
            "http://a",
            Grpc,
        ),
    ] {
        let found = collector(keys, &environment);
        assert_eq!(found, Ok(Some((endpoint.into(), protocol))), "{keys} {environment:?}");
    }
}

#[test]
fn nothing_is_exported_without_an_endpoint_or_where_it_is_disabled() {
    let configured = "endpoint = \"http://a\"";
    assert_eq!(collector("", &[]), Ok(None));
    assert_eq!(collector("", &[(BASE, "")]), Ok(None));
    assert_eq!(collector(configured, &[("OTEL_SDK_DISABLED", "True")]), Ok(None));
    assert_eq!(collector(configured, &[("OTEL_TRACES_EXPORTER", "none")]), Ok(None));
    assert!(
        collector(configured, &[("OTEL_TRACES_EXPORTER", "otlp")])
            .unwrap()
            .is_some()
    );
}

#[test]
fn what_cannot_be_spoken_to_is_refused() {
    for (endpoint, protocol, told) in [
        ("https://a:4318", "http", "no http:// URL"),
        ("a:4318", "http", "no http:// URL"),
        ("127.0.0.1:4317", "grpc", "no http:// URL"),
        ("http://", "http", "no URL"),
        ("http://a b", "http", "no URL"),
        ("http://a:99999", "http", "no valid port"),
        ("http://[::1]:", "http", "no valid port"),
        ("http://a?b", "http", "has a query"),
        ("http://a:4317/v1/traces", "grpc", "has a path"),
    ] {
        let keys = format!("endpoint = {endpoint:?}\nprotocol = {protocol:?}");
        let why = collector(&keys, &[]).unwrap_err();
        assert!(
            why.starts_with("telemetry.endpoint: ") && why.contains(told),
            "{endpoint}: {why}"
        );
    }
    let why = collector("", &[(BASE, "http://a"), (PROTOCOL, "http/json")]).unwrap_err();
    assert!(why.starts_with("OTEL_EXPORTER_OTLP_PROTOCOL: `http/json`"), "{why}");
    let why = collector("", &[(BASE, "https://a")]).unwrap_err();
    assert!(why.starts_with("OTEL_EXPORTER_OTLP_ENDPOINT: "), "{why}");
}

#[test]
fn a_wrong_endpoint_is_a_mistake_at_its_place() {
    let feed = "flow = \"in -> out\"\nsources.in = { type = \"tcp_server\", listen = \"127.0.0.1:7000\" }\nsinks.out = { type = \"blackhole\" }\n";
    let files = Files::new(&[
        ("feed.toml", feed),
        ("wrong.toml", &format!("{feed}telemetry.endpoint = \"ftp://a\"\n")),
    ]);
    let told = |name: &str, options: &LoadOptions| {
        let files: Vec<PathBuf> = vec![files.path(name)];
        load(&files, options, &Fake)
            .map(|_| ())
            .map_err(|mistakes| mistakes[0].to_string())
    };
    let why = told("wrong.toml", &LoadOptions::default()).unwrap_err();
    assert!(
        why.contains("wrong.toml:4:11: telemetry.endpoint: `ftp://a` is no http:// URL"),
        "{why}"
    );
    let why = told("feed.toml", &variables(&[(BASE, "ftp://a")])).unwrap_err();
    assert!(
        why.starts_with("variable OTEL_EXPORTER_OTLP_ENDPOINT: `ftp://a`"),
        "{why}"
    );
    assert_eq!(told("feed.toml", &variables(&[(BASE, "http://a")])), Ok(()));
}

#[test]
fn the_bounds_are_read() {
    let config: TelemetryConfig =
        toml::from_str("queue_spans = 10\nexport_timeout = \"2s\"\nexport_interval = \"100ms\"").unwrap();
    assert_eq!(config.queue_spans, NonZeroU32::new(10));
    assert_eq!(config.export_timeout, Some(Period::seconds(2)));
    assert_eq!(config.export_interval, Some(Period::milliseconds(100)));
    assert!(toml::from_str::<TelemetryConfig>("queue_spans = 0").is_err());
}
