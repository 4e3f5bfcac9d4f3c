//! `acknowledge = "reply"`: what the application has answered is delivered, and everything else comes again.

use std::net::{SocketAddr, TcpListener};

use super::application::{Application, MESSAGES};
use crate::harness::{Feeder, Folder, Program, Status};

fn pipeline(folder: &Folder, sink: &str, reply: &str) -> Program {
    folder.run_pipeline(&format!(
        r#"
        name = "p"
        flow = ["source -> drain -> network"]
        sources.source = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        spills.drain = {{ directory = "data" }}
        sinks.network = {{ {sink}, acknowledge = "reply", reply = {{ {reply} }}, retry = {{ first = "1ms", max = "20ms" }} }}
        "#
    ))
}

fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let sink = format!(r#"type = "tcp_client", address = "{}""#, listener.local_addr().unwrap());
    (listener, sink)
}

fn feed(program: &Program, last: u64) -> Feeder {
    let mut feeder = Feeder::connect(program.address_of("source"), MESSAGES);
    feeder.send(1..=last);
    feeder
}

fn wait_settled(program: &Program, last: u64) -> Status {
    let status = program.wait_for("all is settled", |status| {
        status.number("network", "frames_out") == last && status.number("drain", "waiting_frames") == 0
    });
    assert_eq!(status.number("network", "unanswered_frames"), 0);
    assert_eq!(status.number("network", "unacknowledged_bytes"), 0);
    status
}

#[test]
fn a_frame_counts_as_delivered_when_it_is_answered_and_not_before() {
    let (folder, (listener, sink)) = (Folder::new(), listener());
    let program = pipeline(&folder, &sink, r#"pattern = "^OK""#);
    let _feeder = feed(&program, 10);
    let mut application = Application::accept(&listener);
    application.take(1..=10);
    let status = program.wait_for("all is written", |status| {
        status.number("network", "unanswered_frames") == 10
    });
    assert_eq!(status.number("network", "frames_out"), 0);
    application.answer(&"OK\r\n".repeat(10));
    let status = wait_settled(&program, 10);
    assert_eq!(status.number("network", "replies"), 10);
    program.stop();
}

/// The application answers some of what it took and is gone, again and again: what it answered never comes again, and everything else does.
fn dies_again_and_again(program: &Program, connect: impl Fn() -> Application, end: impl Fn(Application, u64)) {
    let (mut answered, last) = (0, 2_000);
    let _feeder = feed(program, last);
    for round in 1..=10 {
        let mut application = connect();
        application.take(answered + 1..=answered + 30 + round);
        application.answer(&"OK\n".repeat(10 + round as usize));
        answered += 10 + round;
        end(application, round);
    }
    connect().serve(answered + 1..=last);
    let status = wait_settled(program, last);
    assert_eq!(status.number("network", "replies"), last);
}

#[test]
fn what_a_server_had_not_answered_when_it_died_comes_again_and_nothing_else() {
    let (folder, (listener, sink)) = (Folder::new(), listener());
    let program = pipeline(&folder, &sink, r#"pattern = "^OK$""#);
    dies_again_and_again(
        &program,
        || Application::accept(&listener),
        |application, _| application.reset(),
    );
    let status = program.status_of("p");
    assert!(status.number("network", "failures_reset") >= 1, "{status:?}");
    program.stop();
}

#[test]
fn what_a_client_had_not_answered_when_it_left_comes_again_and_nothing_else() {
    let folder = Folder::new();
    let program = pipeline(
        &folder,
        r#"type = "tcp_server", listen = "127.0.0.1:0""#,
        r#"pattern = "^OK$""#,
    );
    let address: SocketAddr = program.address_of("network");
    let leave = |application: Application, round| {
        drop(application);
        // Or the next client would be turned away as a second one.
        program.wait_for("it is missed", |status| {
            status.number("network", "disconnects") >= round
        });
    };
    dies_again_and_again(&program, || Application::connect(address), leave);
    program.stop();
}

#[test]
fn an_outage_that_goes_on_for_another_reason_is_told_again() {
    let (folder, (listener, sink)) = (Folder::new(), listener());
    let address = listener.local_addr().unwrap();
    drop(listener);
    let program = pipeline(&folder, &sink, r#"pattern = "^OK""#);
    program.log.first(&["WARN", "Connection refused"]);
    let _feeder = feed(&program, 1);
    let listener = TcpListener::bind(address).unwrap();
    let mut application = Application::accept(&listener);
    application.take(1..=1);
    application.answer("ERR\n");
    application.await_end();
    program.log.first(&["WARN", "`ERR`, which does not match `^OK`"]);
    Application::accept(&listener).serve(1..=1);
    wait_settled(&program, 1);
    program.stop();
}

#[test]
fn after_a_wrong_answer_everything_from_its_frame_on_comes_again() {
    let (folder, (listener, sink)) = (Folder::new(), listener());
    let program = pipeline(&folder, &sink, r#"pattern = "^OK""#);
    let _feeder = feed(&program, 10);
    let mut application = Application::accept(&listener);
    application.take(1..=10);
    application.answer("OK\nOK\nOK\nOK\nERR disk full\nOK\nOK\n");
    application.await_end();
    Application::accept(&listener).serve(5..=10);
    let status = wait_settled(&program, 10);
    assert_eq!(status.number("network", "failures_unexpected_reply"), 1);
    assert_eq!(status.number("network", "frames_resent"), 6);
    program
        .log
        .first(&["network", "answered `ERR disk full`", "does not match `^OK`"]);
    program.stop();
}

/// As programs do that give up at an error: they answer, and end with bytes unread.
#[test]
fn a_wrong_answer_is_the_reason_also_when_a_reset_follows_it() {
    let (folder, (listener, sink)) = (Folder::new(), listener());
    let program = pipeline(&folder, &sink, r#"pattern = "^OK""#);
    let feeder = feed(&program, 10);
    for round in 1..=20 {
        let mut application = Application::accept(&listener);
        // Behind a refusal the window is a single frame.
        application.take(1..=if round == 1 { 3 } else { 1 });
        application.answer("ERR not now\n");
        application.reset();
        program.wait_for("it is counted", |status| {
            assert_eq!(status.number("network", "failures_reset"), 0);
            status.number("network", "failures_unexpected_reply") == round
        });
    }
    Application::accept(&listener).serve(1..=10);
    wait_settled(&program, 10);
    drop(feeder);
    program.stop();
}

#[test]
fn an_answer_that_was_not_due_ends_the_connection() {
    for words in ["OK", "220 welcome"] {
        let (folder, (listener, sink)) = (Folder::new(), listener());
        let program = pipeline(&folder, &sink, r#"pattern = "^OK""#);
        let mut application = Application::accept(&listener);
        application.answer(&format!("{words}\n"));
        application.await_end();
        program.log.first(&["network", words, "when no answer was due"]);
        let _feeder = feed(&program, 3);
        Application::accept(&listener).serve(1..=3);
        wait_settled(&program, 3);
        program.stop();
    }
}

#[test]
fn who_owes_an_answer_for_too_long_gets_the_frames_again_on_a_new_connection() {
    let (folder, (listener, sink)) = (Folder::new(), listener());
    let program = pipeline(&folder, &sink, r#"pattern = "^OK", timeout = "200ms""#);
    let _feeder = feed(&program, 10);
    let mut application = Application::accept(&listener);
    application.take(1..=10);
    application.answer("OK\nOK\nOK\n");
    application.await_end();
    let mut application = Application::accept(&listener);
    application.serve(4..=4);
    // On a busy machine these answers may be late too, so there may be more connections.
    std::thread::spawn(move || {
        loop {
            while let Some(number) = application.next() {
                let _ = application.try_answer("OK\n");
                assert!((4..=10).contains(&number));
            }
            application = Application::accept(&listener);
        }
    });
    let status = wait_settled(&program, 10);
    assert!(status.number("network", "failures_reply_timeout") >= 1);
    program
        .log
        .first(&["network", "has owed an answer for 200ms; 7 frames are unanswered"]);
    program.stop();
}

#[test]
fn no_more_frames_are_under_way_than_the_window_allows() {
    let (folder, (listener, sink)) = (Folder::new(), listener());
    let (window, last) = (20, 1_000);
    let program = pipeline(&folder, &sink, &format!(r#"pattern = "^OK", window_frames = {window}"#));
    let _feeder = feed(&program, last);
    let mut application = Application::accept(&listener);
    application.take(1..=window);
    for answered in 1..=last {
        assert_eq!(application.untaken_bytes(), 0, "{window} frames are unanswered already");
        application.answer("OK\n");
        if answered + window <= last {
            application.take(answered + window..=answered + window);
        }
    }
    wait_settled(&program, last);
    program.stop();
}

#[test]
fn one_byte_may_answer_a_group_of_frames() {
    let (folder, (listener, sink)) = (Folder::new(), listener());
    let program = pipeline(&folder, &sink, r#"bytes = 1, pattern = '\x06', per = 10"#);
    let _feeder = feed(&program, 50);
    let mut application = Application::accept(&listener);
    application.take(1..=35);
    application.answer("\u{6}\u{6}");
    application.reset();
    let mut application = Application::accept(&listener);
    application.take(21..=50);
    application.answer("\u{6}\u{6}\u{15}");
    application.await_end();
    let mut application = Application::accept(&listener);
    application.take(41..=50);
    application.answer("\u{6}");
    let status = wait_settled(&program, 50);
    assert_eq!(status.number("network", "replies"), 5);
    program.stop();
}

#[test]
fn a_batch_is_sent_when_the_one_before_is_answered() {
    let (folder, (listener, sink)) = (Folder::new(), listener());
    let program = pipeline(&folder, &sink, r#"pattern = "^OK", per = "batch""#);
    let mut feeder = feed(&program, 5);
    let mut application = Application::accept(&listener);
    application.take(1..=5);
    feeder.send(6..=8);
    program.wait_for("the second batch waits at the sender", |status| {
        status.edge("drain -> network").frames == 8
    });
    assert_eq!(application.untaken_bytes(), 0);
    application.answer("OK 5\n");
    application.take(6..=8);
    application.answer("OK 3\n");
    wait_settled(&program, 8);
    program.stop();
}

#[test]
fn what_is_not_answered_at_the_end_comes_again_after_the_next_start_and_nothing_else() {
    let (folder, (listener, sink)) = (Folder::new(), listener());
    let program = pipeline(&folder, &sink, r#"pattern = "^OK""#);
    let feeder = feed(&program, 10);
    let mut application = Application::accept(&listener);
    application.take(1..=10);
    application.answer("OK\nOK\nOK\nOK\n");
    program.wait_for("four are heard", |status| {
        status.number("network", "replies") == 4 && status.number("network", "frames_out") == 4
    });
    drop(feeder);
    program.terminate();
    program.log.first(&["draining", "a second signal forces the end"]);
    drop(listener);
    application.reset();
    let mut program = program;
    assert_eq!(program.exit_code(), 0);
    // All of them were one batch.
    let (listener, sink) = self::listener();
    let program = pipeline(&folder, &sink, r#"pattern = "^OK""#);
    Application::accept(&listener).serve(5..=10);
    wait_settled(&program, 6);
    program.stop();
}

#[test]
fn check_says_what_does_not_go_together() {
    let cases = [
        (r#"acknowledge = "reply""#, "needs a table `reply`"),
        (
            r#"reply = { pattern = "^OK" }"#,
            "`reply` needs `acknowledge = \"reply\"`",
        ),
        (r#"acknowledge = "reply", reply = {}"#, "must say what an answer is"),
        (
            r#"acknowledge = "reply", reply = { bytes = 1, delimiter = "x" }"#,
            "exclude each other",
        ),
        (
            r#"acknowledge = "reply", reply = { pattern = "(" }"#,
            "`reply.pattern` is no regular expression",
        ),
        (
            r#"acknowledge = "reply", reply = { bytes = 1, per = 10, window_frames = 5 }"#,
            "so many could never be sent",
        ),
        (
            r#"acknowledge = "reply", reply = { bytes = 1, per = "batch", window_frames = 5 }"#,
            "has no meaning with `per = \"batch\"`",
        ),
        (
            r#"acknowledge = "reply", reply = { bytes = 1 }, on_peer_fin = "continue""#,
            "exclude each other",
        ),
        (
            r#"acknowledge = "reply", reply = { bytes = 1 }, resend_bytes = 10"#,
            "`resend_bytes` needs `acknowledge = \"kernel\"`",
        ),
        (
            r#"acknowledge = "reply", reply = { refuse = { pattern = "(", then = "retry" } }"#,
            "`reply.refuse.pattern` is no regular expression",
        ),
        (
            r#"acknowledge = "reply", reply = { refuse = { pattern = "NO" } }"#,
            "then: missing",
        ),
        (
            r#"acknowledge = "reply", reply = { bytes = 1, per = "frames" }"#,
            "sinks.network.reply.per",
        ),
        (
            r#"acknowledge = "reply", reply = { bytes = 1, per = 0 }"#,
            "sinks.network.reply.per",
        ),
    ];
    for (options, expected) in cases {
        let folder = Folder::new();
        folder.write(
            "p.toml",
            &format!(
                r#"
                name = "p"
                flow = ["source -> network"]
                sources.source = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
                sinks.network = {{ type = "tcp_client", address = "127.0.0.1:9", {options} }}
                "#
            ),
        );
        let output = folder.aqueduct(&["check", "p.toml"]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{options}: {errors}");
        assert!(errors.contains(expected), "{options}: {errors}");
    }
}
