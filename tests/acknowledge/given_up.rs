//! `retry.give_up_after`: what has failed for too long becomes a dead letter that says why, and failures are counted by their reasons.

use std::net::TcpListener;

use serde_json::Value;

use super::application::{Application, MESSAGES};
use crate::harness::{Feeder, Folder, Listener, Program, Sequence, wait_until};

const GIVE_UP: &str = r#"retry = { first = "1ms", max = "20ms", give_up_after = "300ms" }"#;

fn pipeline(folder: &Folder, sink: &str) -> Program {
    folder.run_pipeline(&format!(
        r#"
        name = "p"
        flow = ["source -> drain -> network", "network.rejected -> letters"]
        sources.source = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        spills.drain = {{ directory = "data" }}
        sinks.network = {{ type = "tcp_client", {sink}, {GIVE_UP} }}
        sinks.letters = {{ type = "file", path = "letters.txt", format = "json" }}
        "#
    ))
}

/// The numbers of the dead letters, and their reasons.
fn letters(folder: &Folder) -> Vec<(u64, String)> {
    let text = folder.read("letters.txt");
    let letters = text.lines().map(|line| {
        let letter: Value = serde_json::from_str(line).unwrap();
        let number = MESSAGES.number(letter["text"].as_str().unwrap().as_bytes());
        let reason = letter["rejected"]["reason"].as_str().unwrap();
        (number, reason.to_owned())
    });
    letters.collect()
}

#[test]
fn the_frame_that_is_refused_again_and_again_becomes_a_dead_letter_and_the_others_arrive() {
    let (folder, listener) = (Folder::new(), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap();
    let sink = format!(r#"address = "{address}", acknowledge = "reply", reply = {{ pattern = "^OK" }}"#);
    let program = pipeline(&folder, &sink);
    Feeder::connect(program.address_of("source"), MESSAGES).send(1..=10);
    let (mut taken, mut refusals) = (Vec::new(), 0);
    while taken.last() != Some(&10) {
        let mut application = Application::accept(&listener);
        while let Some(number) = application.next() {
            if number == 3 {
                application.answer("ERR never this one\n");
                refusals += 1;
                application.await_end();
                break;
            }
            application.answer("OK\n");
            taken.push(number);
            if number == 10 {
                program.wait_for("the last answer is heard", |status| {
                    status.number("network", "replies") == 9
                });
                break;
            }
        }
    }
    assert_eq!(taken, [1, 2, 4, 5, 6, 7, 8, 9, 10]);
    let status = program.wait_for("the store is empty", |status| {
        status.number("drain", "waiting_frames") == 0
    });
    assert_eq!(status.number("network", "frames_out"), 9);
    assert_eq!(status.number("network", "rejected"), 1);
    assert_eq!(status.number("network", "given_up"), 1);
    assert_eq!(status.number("network", "failures_unexpected_reply"), refusals);
    let letters = wait_until("the dead letter is written", || {
        Some(letters(&folder)).filter(|all| !all.is_empty())
    });
    let [(3, reason)] = &letters[..] else {
        panic!("{letters:?}")
    };
    assert!(
        reason.starts_with(&format!("gave up after {refusals} attempts in ")),
        "{reason}"
    );
    assert!(
        reason.ends_with("answered `ERR never this one`, which does not match `^OK`"),
        "{reason}"
    );
    program.stop();
}

#[test]
fn a_group_that_one_answer_refuses_is_given_up_together_and_nothing_else() {
    let (folder, listener) = (Folder::new(), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap();
    let sink =
        format!(r#"address = "{address}", acknowledge = "reply", reply = {{ bytes = 1, pattern = "y", per = 4 }}"#);
    let program = pipeline(&folder, &sink);
    // The group that is refused reaches over two batches.
    let mut feeder = Feeder::connect(program.address_of("source"), MESSAGES);
    let mut application = Application::accept(&listener);
    feeder.send(1..=6);
    application.take(1..=6);
    feeder.send(7..=12);
    application.take(7..=12);
    application.answer("yn");
    application.await_end();
    let mut first = 5;
    while first == 5 {
        let mut application = Application::accept(&listener);
        first = application.next().unwrap();
        application.take(first + 1..=first + 3);
        if first == 5 {
            application.answer("n");
            application.await_end();
        } else {
            application.answer("y");
            program.wait_for("the answer is heard", |status| status.number("network", "replies") == 2);
        }
    }
    assert_eq!(first, 9);
    let status = program.wait_for("the store is empty", |status| {
        status.number("drain", "waiting_frames") == 0
    });
    assert_eq!(status.number("network", "frames_out"), 8);
    assert_eq!(status.number("network", "given_up"), 4);
    let letters = wait_until("all dead letters are written", || {
        Some(letters(&folder)).filter(|all| all.len() == 4)
    });
    assert_eq!(
        letters.iter().map(|(number, _)| *number).collect::<Vec<_>>(),
        [5, 6, 7, 8]
    );
    program.stop();
}

#[test]
fn while_nobody_is_there_each_attempt_gives_up_one_batch_and_the_rest_is_delivered_afterwards() {
    let folder = Folder::new();
    let listener = Listener::open(None);
    let address = listener.address();
    drop(listener);
    let program = pipeline(&folder, &format!(r#"address = "{address}""#));
    let mut feeder = Feeder::connect(program.address_of("source"), MESSAGES);
    let mut fed = 0;
    // A batch of its own each: what is fed next comes only when the one before was given up.
    for given_up in 1..=3 {
        feeder.send(fed + 1..=fed + 5);
        fed += 5;
        program.wait_for("a batch is given up", |status| {
            status.number("network", "given_up") == given_up * 5
        });
    }
    let listener = Listener::on(address, None);
    let (mut destination, mut seen) = (listener.accept(MESSAGES), Sequence::default());
    feeder.send(fed + 1..=fed + 100);
    destination.take_through(fed + 100, &mut seen);
    seen.assert_is(fed + 1, fed + 100);
    let status = program.wait_for("all is settled", |status| status.number("drain", "waiting_frames") == 0);
    assert_eq!(status.number("network", "frames_out"), 100);
    assert_eq!(status.number("network", "rejected"), fed);
    assert!(status.number("network", "failures_refused") >= 3);
    let letters = wait_until("all dead letters are written", || {
        Some(letters(&folder)).filter(|all| all.len() == 15)
    });
    let numbers: Vec<_> = letters.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=fed).collect::<Vec<_>>());
    for (_, reason) in letters {
        assert!(
            reason.starts_with("gave up after ") && reason.contains("nobody listens there"),
            "{reason}"
        );
    }
    let status = folder.aqueduct(&["status", "p"]);
    let words = String::from_utf8_lossy(&status.stdout);
    assert!(
        words.contains("15 rejected, failures: ") && words.contains(" refused"),
        "{words}"
    );
    program.stop();
}

#[test]
fn the_reasons_of_failures_are_counted_also_where_a_source_dials() {
    let (folder, listener) = (Folder::new(), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap();
    let retry = r#"retry = { first = "1ms", max = "20ms" }"#;
    let program = folder.run_pipeline(&format!(
        r#"
        name = "p"
        flow = ["feed -> network", "nameless -> out"]
        sources.feed = {{ type = "tcp_client", address = "{address}", {retry} }}
        sinks.network = {{ type = "tcp_client", address = "{address}", {retry} }}
        sources.nameless = {{ type = "tcp_client", address = "no-such-name.invalid:9", {retry} }}
        sinks.out = {{ type = "blackhole" }}
        "#
    ));
    let all = ["feed", "network"];
    listener.set_nonblocking(true).unwrap();
    program.wait_for("the ends are counted", |status| {
        while listener.accept().is_ok() {}
        all.iter()
            .all(|actor| status.number(actor, "failures_peer_closed") >= 1)
            && status.number("nameless", "failures_name_not_resolved") >= 1
    });
    drop(listener);
    program.wait_for("the refusals are counted", |status| {
        all.iter().all(|actor| status.number(actor, "failures_refused") >= 1)
    });
}
