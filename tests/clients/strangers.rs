//! Those who cannot say who they are, and pipelines that cannot serve anybody.

use crate::harness::{Destination, Folder, Program, Sequence};

use super::{BUFFER, MESSAGES, TOKENS, client, feed, pipeline};

fn run(folder: &Folder, sink: &str) -> Program {
    folder.run_pipeline(&pipeline(r#"retain_bytes = "1 GiB""#, sink))
}

/// Connects, says this, and is sent away without a byte.
fn refused(program: &Program, said: &str) {
    Destination::connect(program.address_of("network"), MESSAGES)
        .saying(said)
        .assert_ends();
}

#[test]
fn who_says_a_wrong_token_gets_nothing_and_what_it_said_is_not_logged() {
    let folder = Folder::new();
    let program = run(&folder, TOKENS);
    feed(&program, 1, 100);
    refused(&program, "token-of-billin\n");
    program
        .log
        .first(&["is refused", "its first line is none of the tokens"]);
    refused(&program, &"x".repeat(10_000));
    program.log.first(&["is refused", "longer than any token"]);
    refused(&program, "billing\n");
    let status = program.status_of("p");
    assert_eq!(status.number("network", "connections_refused"), 3);
    assert_eq!(status.number("network", "connects"), 0);
    let mut seen = crate::harness::Sequence::default();
    client(&program, "billing").take_through(100, &mut seen);
    seen.assert_is(1, 100);
    let log = program.log.so_far().join("\n");
    assert!(!log.contains("token-of"), "{log}");
    program.stop();
}

#[test]
fn who_says_nothing_is_closed_in_time() {
    let folder = Folder::new();
    let program = run(&folder, &format!("{TOKENS}, introduction_timeout = \"50ms\""));
    refused(&program, "token-of-billing");
    program.log.first(&["is refused", "within introduction_timeout = 50ms"]);
    program.stop();
}

/// More of them than the sink has places for those who have not said who they are.
#[test]
fn strangers_that_stay_and_say_nothing_keep_no_client_out() {
    let folder = Folder::new();
    let options = format!("{TOKENS}, max_clients = 1, introduction_timeout = \"1h\"");
    let program = run(&folder, &options);
    feed(&program, 1, 100);
    let network = program.address_of("network");
    let strangers: Vec<_> = (0..10).map(|_| Destination::connect(network, MESSAGES)).collect();
    let mut seen = Sequence::default();
    let mut billing = client(&program, "billing");
    billing.take_through(100, &mut seen);
    let more: Vec<_> = (0..10).map(|_| Destination::connect(network, MESSAGES)).collect();
    program
        .log
        .first(&["is refused", "it had not said who it is, and others came"]);
    feed(&program, 101, 200);
    billing.take_through(200, &mut seen);
    seen.assert_is(1, 200);
    drop((strangers, more));
    program.stop();
}

#[test]
fn health_checks_of_a_named_sink_are_counted_as_such_and_nobody_is_refused() {
    let folder = Folder::new();
    let program = run(&folder, &format!("{TOKENS}, max_clients = 1"));
    feed(&program, 1, 100);
    for number in 0..10 {
        let check = Destination::connect(program.address_of("network"), MESSAGES);
        if number % 2 == 0 {
            check.reset();
        }
    }
    let mut seen = Sequence::default();
    client(&program, "billing").take_through(100, &mut seen);
    let status = program.wait_for("all are counted", |status| status.number("network", "probes") == 10);
    assert_eq!(status.number("network", "connections_refused"), 0);
    program.stop();
}

#[test]
fn more_names_than_max_clients_are_refused_and_a_known_one_may_come_anew() {
    let folder = Folder::new();
    let program = run(&folder, &format!("{TOKENS}, max_clients = 1"));
    let _older = client(&program, "billing");
    program.log.first(&["billing is here"]);
    refused(&program, "token-of-audit\n");
    let _newer = client(&program, "billing");
    program.log.nth(2, &["billing is here"]);
    program.stop();
}

/// What `check` says of this pipeline.
fn mistake(config: &str) -> String {
    let folder = Folder::new();
    folder.write("p.toml", config);
    let output = folder.aqueduct(&["check", "p.toml"]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    errors
}

#[test]
fn named_clients_without_a_store_in_front_are_a_mistake_with_its_line() {
    let config = pipeline(r#"retain_bytes = "1 GiB""#, TOKENS);
    let errors = mistake(&config.replace("source -> drain -> network", "source -> network"));
    let line = "p.toml:6:15: sinks.network: `source` in front of it is no durable store";
    assert!(errors.contains(line), "{errors}");
    let errors = mistake(&pipeline("", TOKENS));
    let line = "p.toml:5:16: spills.drain: does not say how much it retains for the clients of `network`";
    assert!(errors.contains(line), "{errors}");
}

#[test]
fn what_is_wrong_with_a_sink_is_not_told_of_its_store_too() {
    let errors = mistake(&pipeline(
        r#"retain_bytes = "1 GiB""#,
        r#"tokens = { "a b" = "secret-of-ab" }"#,
    ));
    let line = r#"p.toml:6:118: sinks.network.tokens: `tokens`: "a b" is no name of a client"#;
    assert!(errors.contains(line) && errors.contains("1 mistake;"), "{errors}");
    assert!(!errors.contains("secret-of"), "{errors}");
}

/// The same pipeline in three formats, with a client whose name has capital letters in it.
fn with_a_capital_name() -> [(&'static str, String); 3] {
    let toml = pipeline(r#"retain_bytes = "1 GiB""#, r#"tokens = { Billing = "of-the-file" }"#);
    let json = r#"{
        "name": "p", "flow": "source -> drain -> network",
        "sources": { "source": { "type": "tcp_server", "listen": "127.0.0.1:0" } },
        "spills": { "drain": { "directory": "data", "persist": "always", "retain_bytes": "1 GiB" } },
        "sinks": { "network": { "type": "tcp_server", "listen": "127.0.0.1:0", "clients": "named",
            "tokens": { "Billing": "of-the-file" } } }
    }"#;
    // YAML is a superset of JSON.
    [
        ("p.toml", toml),
        ("p.json", json.to_owned()),
        ("p.yaml", json.to_owned()),
    ]
}

#[test]
fn a_variable_sets_the_token_of_a_client_whose_name_has_capital_letters() {
    for (file, text) in with_a_capital_name() {
        let folder = Folder::new();
        folder.write(file, &text);
        let variable = ("AQUEDUCT__SINKS__NETWORK__TOKENS__BILLING", "of-the-variable");
        let program = folder.run_in(&[variable], &[file]);
        feed(&program, 1, 10);
        let (network, mut seen) = (program.address_of("network"), Sequence::default());
        let mut client = Destination::connect_small(network, MESSAGES, BUFFER).saying("of-the-variable\n");
        client.take_through(10, &mut seen);
        seen.assert_is(1, 10);
        let status = program.status_of("p");
        let clients = status
            .actor("network")
            .meters
            .texts
            .keys()
            .filter(|key| key.starts_with("client "));
        assert_eq!(clients.collect::<Vec<_>>(), ["client Billing"], "{file}");
        program.stop();
    }
}

#[test]
fn a_setting_that_meets_a_key_only_by_case_is_refused() {
    for (file, text) in with_a_capital_name() {
        let folder = Folder::new();
        folder.write(file, &text);
        let checked = folder.aqueduct(&[
            "check",
            file,
            "--set",
            "sinks.network.tokens.billing=secret-of-a-setting",
        ]);
        let errors = String::from_utf8_lossy(&checked.stderr);
        assert_eq!(checked.status.code(), Some(2), "{errors}");
        assert!(
            errors.contains("--set: sinks.network.tokens.billing: differs from a key that is there only by case")
                && errors.contains("expected `sinks.network.tokens.Billing`"),
            "{errors}"
        );
        assert!(!errors.contains("secret-of"), "{errors}");
    }
}

/// As `printf 'TOKEN\n' | nc -N` does.
#[test]
fn who_finishes_sending_right_behind_its_introduction_is_served_until_it_resets() {
    let folder = Folder::new();
    let program = run(&folder, TOKENS);
    let mut billing = client(&program, "billing");
    billing.finish_sending();
    let mut seen = Sequence::default();
    feed(&program, 1, 100);
    billing.take_through(100, &mut seen);
    feed(&program, 101, 200);
    billing.take_through(200, &mut seen);
    seen.assert_is(1, 200);
    billing.reset();
    program.wait_for("it has left", |status| status.number("network", "disconnects") == 1);
    program.stop();
}
