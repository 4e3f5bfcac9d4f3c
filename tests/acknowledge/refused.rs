//! What the application refuses costs what stands behind it nothing, is a dead letter once, and what it has answered never comes again.

use std::net::TcpListener;

use serde_json::Value;

use super::application::{Application, MESSAGES};
use crate::harness::{Feeder, Folder, Program, wait_until};

/// A pipeline over a filter that lets no number through that ends in 7.
fn pipeline(folder: &Folder, listener: &TcpListener, reply: &str, retry: &str) -> Program {
    let address = listener.local_addr().unwrap();
    folder.run_pipeline(&format!(
        r#"
        name = "p"
        flow = ["source -> drain -> some -> network", "network.rejected -> letters"]
        sources.source = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        spills.drain = {{ directory = "data" }}
        processors.some = {{ type = "filter", matches = '^\d*7 ', mode = "drop" }}
        sinks.network = {{ type = "tcp_client", address = "{address}", acknowledge = "reply", reply = {{ {reply} }}, retry = {{ first = "1ms", max = "20ms" {retry} }} }}
        sinks.letters = {{ type = "file", path = "letters.txt", format = "json" }}
        "#
    ))
}

/// The numbers of the dead letters, and their reasons, once there are so many.
fn letters(folder: &Folder, count: usize) -> Vec<(u64, String)> {
    wait_until("the dead letters are written", || {
        let text = folder.read("letters.txt");
        let letters = text.lines().map(|line| {
            let letter: Value = serde_json::from_str(line).unwrap();
            let number = MESSAGES.number(letter["text"].as_str().unwrap().as_bytes());
            (number, letter["rejected"]["reason"].as_str().unwrap().to_owned())
        });
        Some(letters.collect::<Vec<_>>()).filter(|letters| letters.len() >= count)
    })
}

#[test]
fn a_refusal_that_is_final_makes_a_dead_letter_of_its_frame_alone_and_the_connection_goes_on() {
    let (folder, listener) = (Folder::new(), TcpListener::bind("127.0.0.1:0").unwrap());
    let reply = r#"pattern = "^OK", refuse = { pattern = "^NO", then = "reject" }"#;
    let program = pipeline(&folder, &listener, reply, "");
    Feeder::connect(program.address_of("source"), MESSAGES).send(1..=10);
    let mut application = Application::accept(&listener);
    application.take(1..=6);
    application.take(8..=10);
    application.answer("OK\nOK\nNO \u{7}field 5\nOK\nNO more\nOK\nOK\nOK\nOK\n");
    let letters = letters(&folder, 2);
    assert_eq!(
        letters,
        [
            (3, r"refused with `NO \u{7}field 5`".to_owned()),
            (5, "refused with `NO more`".to_owned()),
        ]
    );
    let status = program.wait_for("all is settled", |status| {
        status.number("drain", "waiting_frames") == 0 && status.number("network", "frames_out") == 7
    });
    assert_eq!(status.number("network", "rejected"), 2);
    assert_eq!(status.number("network", "replies"), 9);
    assert_eq!(status.number("network", "disconnects"), 0);
    program.stop();
}

#[test]
fn a_refusal_of_a_batch_that_is_still_being_written_finds_its_frame() {
    let (folder, listener) = (Folder::new(), TcpListener::bind("127.0.0.1:0").unwrap());
    let reply = r#"pattern = "^OK", window_frames = 2, refuse = { pattern = "^NO", then = "reject" }"#;
    let program = pipeline(&folder, &listener, reply, "");
    Feeder::connect(program.address_of("source"), MESSAGES).send(1..=6);
    let mut application = Application::accept(&listener);
    application.take(1..=2);
    application.answer("OK\nNO\n");
    application.take(3..=4);
    application.answer("NO\n");
    // Everything else is sent again.
    application.take(5..=5);
    application.reset();
    Application::accept(&listener).serve(4..=6);
    let numbers: Vec<_> = letters(&folder, 2).into_iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, [2, 3]);
    program.wait_for("all is settled", |status| {
        status.number("drain", "waiting_frames") == 0 && status.number("network", "frames_out") == 4
    });
    program.stop();
}

#[test]
fn behind_a_refused_frame_the_others_are_not_sent_again_with_it_each_time() {
    let (folder, listener) = (Folder::new(), TcpListener::bind("127.0.0.1:0").unwrap());
    let reply = r#"pattern = "^OK", refuse = { pattern = "^NO", then = "retry" }"#;
    let program = pipeline(&folder, &listener, reply, "");
    Feeder::connect(program.address_of("source"), MESSAGES).send(1..=6);
    let mut application = Application::accept(&listener);
    application.take(1..=6);
    application.answer("OK\nNO\n");
    application.await_end();
    program.log.first(&["network", "answered `NO`, which matches `^NO`"]);
    for _ in 0..5 {
        let mut application = Application::accept(&listener);
        application.take(2..=2);
        assert_eq!(application.untaken_bytes(), 0);
        application.answer("NO\n");
        assert_eq!(application.next(), None, "nothing stands behind the refused frame");
    }
    let mut application = Application::accept(&listener);
    application.serve(2..=2);
    // It grows again.
    application.take(3..=4);
    application.answer("OK\nOK\n");
    application.serve(5..=6);
    program.wait_for("all is settled", |status| status.number("network", "frames_out") == 6);
    program.stop();
}

#[test]
fn what_was_answered_or_is_a_dead_letter_does_not_come_again_after_a_restart() {
    let (folder, listener) = (Folder::new(), TcpListener::bind("127.0.0.1:0").unwrap());
    let reply = r#"pattern = "^OK""#;
    let mut program = pipeline(&folder, &listener, reply, r#", give_up_after = "200ms""#);
    Feeder::connect(program.address_of("source"), MESSAGES).send(1..=12);
    let (mut at, mut last) = (1, None);
    while last.is_none() {
        let mut application = Application::accept(&listener);
        while let Some(number) = application.next() {
            if number == 3 {
                application.answer("NO\n");
                application.await_end();
                break;
            }
            assert!(number == at || (at == 3 && number == 4), "{number} at {at}");
            at = number + 1;
            application.answer("OK\n");
            if number == 4 {
                program.wait_for("the last answer is heard", |status| {
                    status.number("network", "frames_out") == 3
                });
                program.terminate();
                program.log.first(&["draining", "a second signal forces the end"]);
                last = Some(application);
                break;
            }
        }
    }
    // Nobody is there any more.
    drop(listener);
    last.into_iter().for_each(Application::reset);
    assert_eq!(program.exit_code(), 0);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let program = pipeline(&folder, &listener, reply, "");
    let mut application = Application::accept(&listener);
    application.serve(5..=6);
    application.serve(8..=12);
    program.wait_for("all is settled", |status| {
        status.number("drain", "waiting_frames") == 0 && status.number("network", "frames_out") == 7
    });
    program.stop();
    let numbers: Vec<_> = letters(&folder, 1).into_iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, [3]);
}
