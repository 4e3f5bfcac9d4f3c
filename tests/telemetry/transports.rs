//! The same spans over both transports, named by the config or by the standard variables.

use super::collector::Transport::{self, Grpc, Http};
use super::{Collector, Peers, STEPS, pipeline};
use crate::harness::Folder;

#[test]
fn every_transport_carries_whole_traces() {
    for transport in [Http, Grpc] {
        let (folder, collector) = (Folder::new(), Collector::speaking(transport));
        let keys = format!("endpoint = {:?}, protocol = \"{transport}\"", collector.endpoint);
        let program = folder.run_pipeline(&pipeline(&keys));
        Peers::of(&program).one_by_one(30);
        program.stop();
        let spans = collector.spans();
        assert_eq!(spans.journeys(STEPS).len(), 30, "over {transport}");
        let instance = &spans.0[0].resource["service.instance.id"];
        assert_eq!(instance.len(), 36, "{instance}");
        assert!(
            spans
                .0
                .iter()
                .all(|seen| seen.resource["service.instance.id"] == *instance)
        );
    }
}

#[test]
fn the_standard_variables_name_transport_and_headers() {
    let of_traces = |transport: Transport| match transport {
        Http => "http/protobuf",
        Grpc => "grpc",
    };
    for transport in [Http, Grpc] {
        let (folder, collector) = (Folder::new(), Collector::speaking(transport));
        folder.write("p.toml", &pipeline(""));
        let other = if transport == Grpc { Http } else { Grpc };
        let environment = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", of_traces(transport)),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", of_traces(other)),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-of=plant-7"),
        ];
        let program = folder.run_in(&environment, &["p.toml"]);
        Peers::of(&program).one_by_one(1);
        program.stop();
        assert_eq!(collector.spans().journeys(STEPS).len(), 1, "over {transport}");
        assert_eq!(collector.headers(), ["plant-7"]);
    }
}

#[test]
fn the_config_outranks_the_variable_for_the_transport() {
    let (folder, collector) = (Folder::new(), Collector::speaking(Grpc));
    folder.write("p.toml", &pipeline("protocol = \"grpc\""));
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
    ];
    let program = folder.run_in(&environment, &["p.toml"]);
    Peers::of(&program).one_by_one(1);
    program.stop();
    assert_eq!(collector.spans().journeys(STEPS).len(), 1);
}

#[test]
fn spans_go_out_while_the_program_runs_as_often_as_configured() {
    for transport in [Http, Grpc] {
        let (folder, collector) = (Folder::new(), Collector::speaking(transport));
        let keys = format!(
            "endpoint = {:?}, protocol = \"{transport}\", export_interval = \"1ms\"",
            collector.endpoint
        );
        let program = folder.run_pipeline(&pipeline(&keys));
        let mut peers = Peers::of(&program);
        for journeys in 1..=3 {
            peers.one_by_one(1);
            collector.wait_for_spans(journeys * STEPS.len());
        }
        program.stop();
    }
}

#[test]
fn an_answer_that_does_not_come_in_time_is_an_outage() {
    for transport in [Http, Grpc] {
        let (folder, collector) = (Folder::new(), Collector::speaking(transport));
        collector.hold();
        let keys = format!(
            "endpoint = {:?}, protocol = \"{transport}\", export_interval = \"1ms\", export_timeout = \"50ms\"",
            collector.endpoint
        );
        let program = folder.run_pipeline(&pipeline(&keys));
        Peers::of(&program).one_by_one(1);
        program.log.first(&["takes no spans"]);
        collector.release();
        program.stop();
    }
}

#[test]
fn an_endpoint_that_cannot_be_spoken_to_is_told_before_anything_runs() {
    let folder = Folder::new();
    folder.write("p.toml", &pipeline("endpoint = \"https://127.0.0.1:4318\""));
    for command in ["check", "run"] {
        let output = folder.aqueduct(&[command, "p.toml"]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains("p.toml:4:"), "{told}");
        assert!(told.contains("no http:// URL"), "{told}");
        assert_eq!(output.status.code(), Some(2));
    }
    folder.write("p.toml", &pipeline(""));
    let mut program = folder.run_in(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")], &["p.toml"]);
    program
        .log
        .first(&["variable OTEL_EXPORTER_OTLP_ENDPOINT", "no http:// URL"]);
    assert_eq!(program.exit_code(), 2);
    assert_eq!(folder.names(), ["p.toml"]);
}
