//! A password in a URL is sent to whom it is for, and shown to nobody.

use std::net::TcpListener;

use super::collector::Transport::{Grpc, Http};
use super::{Collector, Peers, pipeline};
use crate::harness::Folder;

const PASSWORD: &str = "hunter2";
/// `me:hunter2`, as basic authentication sends it.
const SENT: &str = "Basic bWU6aHVudGVyMg==";

fn assert_hidden(what: &str, text: &str) {
    for secret in [PASSWORD, &SENT[6..]] {
        assert!(!text.contains(secret), "{what}: {text}");
    }
}

#[test]
fn the_collector_gets_the_password_of_its_url_and_the_log_does_not() {
    for transport in [Http, Grpc] {
        let (folder, collector) = (Folder::new(), Collector::speaking(transport));
        collector.refuse(true);
        let endpoint = collector.endpoint.replace("://", &format!("://me:{PASSWORD}@"));
        let keys = format!("endpoint = {endpoint:?}, protocol = \"{transport}\", export_interval = \"1ms\"");
        folder.write("p.toml", &pipeline(&keys));
        let program = folder.run(&["p.toml", "--set", "log.level=trace"]);
        let mut peers = Peers::of(&program);
        peers.one_by_one(1);
        program.log.first(&["takes no spans"]);
        collector.refuse(false);
        peers.one_by_one(1);
        program.log.first(&["takes spans again"]);
        for command in ["status", "explain"] {
            let output = folder.aqueduct(&[command, "p"]);
            assert_hidden(command, &String::from_utf8_lossy(&output.stdout));
        }
        let mut program = program;
        program.terminate();
        assert_eq!(program.exit_code(), 0);
        let log = program.log.to_the_end().join("\n");
        assert!(log.contains(&format!("spans go to {}", collector.endpoint)), "{log}");
        assert!(log.contains("did not reach the collector at"), "{log}");
        assert_hidden("the log", &log);
        let headers = collector.headers();
        assert!(headers.iter().all(|header| header == SENT), "{headers:?}");
        assert!(headers.len() > 1, "{headers:?}");
    }
}

#[test]
fn no_complaint_about_a_url_shows_its_password() {
    let folder = Folder::new();
    for wrong in [
        "https://me:hunter2@a:4318",
        "http://me:hunter2@a:99999",
        "http://me:hunter2@a b",
        "http://me:hunter2/@a",
        "http://me:hunter2@",
        "http://a:4318/?token=hunter2",
        "me:hunter2@a:4318",
    ] {
        let setting = format!("telemetry.endpoint={wrong}");
        let configured = pipeline(&format!("endpoint = {wrong:?}"));
        for (config, arguments, environment) in [
            (&configured, vec![], vec![]),
            (&pipeline(""), vec!["--set", &setting], vec![]),
            (&pipeline(""), vec![], vec![("AQUEDUCT__TELEMETRY__ENDPOINT", wrong)]),
            (&pipeline(""), vec![], vec![("OTEL_EXPORTER_OTLP_ENDPOINT", wrong)]),
            (&pipeline("endpoint = \"${URL}\""), vec![], vec![("URL", wrong)]),
        ] {
            folder.write("p.toml", config);
            for command in ["check", "run"] {
                let arguments = [&[command, "p.toml"][..], &arguments].concat();
                let output = folder.aqueduct_in(&environment, &arguments);
                let told = String::from_utf8_lossy(&output.stderr);
                assert_eq!(output.status.code(), Some(2), "{wrong}: {told}");
                assert!(told.contains("***"), "{wrong}: {told}");
                assert_hidden(wrong, &told);
            }
        }
    }
}

#[test]
fn a_url_in_the_place_of_another_value_is_told_without_its_password() {
    let folder = Folder::new();
    let url = format!("http://me:{PASSWORD}@127.0.0.1:4318");
    folder.write("p.toml", &pipeline(""));
    for key in [
        "sources.c_server.listen",
        "sinks.network.listen",
        "spills.drain.memory_age",
        "spills.drain.persist",
        "telemetry.protocol",
        "sinks.network.type",
    ] {
        let output = folder.aqueduct(&["check", "p.toml", "--set", &format!("{key}={url}")]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{key}: {told}");
        assert!(told.contains("***@127.0.0.1:4318"), "{key}: {told}");
        assert_hidden(key, &told);
    }
    let output = folder.aqueduct(&["check", "p.toml", "--set", &url]);
    assert_hidden("--set", &String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_demo_does_not_show_the_password_of_a_collector_that_is_not_there() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let output = Folder::new().aqueduct(&["demo", "--trace", &format!("http://me:{PASSWORD}@{address}")]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        told.contains(&format!("nobody takes spans at http://***@{address} ")),
        "{told}"
    );
    assert_hidden("demo", &told);
}
