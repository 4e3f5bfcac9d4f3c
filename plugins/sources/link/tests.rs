use aqueduct_framework::receipt::Receipt;
use aqueduct_framework::testing::{lines, source};

use super::Link;
use crate::link::Message;
use crate::link::testing::Peer;
use crate::testing::Running;

#[test]
fn a_hello_timeout_that_no_sender_can_keep_is_refused() {
    let link = source::<Link>("listen = \"127.0.0.1:0\"\nhello_timeout = \"0s\"");
    let why = link.try_start().map(|_| ()).expect_err("it is too short").to_string();
    assert!(why.contains("`hello_timeout` must be more than 0s"), "{why}");
}

#[test]
fn unfinished_messages_of_all_connections_are_bounded_together() {
    let running = Running::start(
        r#"
        flow = "input -> in -> nowhere"
        [sources.input]
        type = "link"
        listen = "127.0.0.1:0"
        partial_bytes = "1 MiB"
        [spills.in]
        directory = "in"
        persist = "always"
        [sinks.nowhere]
        type = "blackhole"
        "#,
    );
    let linked = |stream| {
        let mut peer = Peer::new(running.connect("input"));
        assert_eq!(peer.link(stream), 0);
        peer
    };
    let mut alone = linked(1);
    alone.begin(2_000_000);
    match alone.hear() {
        Some(Message::Refused { text, .. }) => assert!(text.contains("partial_bytes = 1048576"), "{text}"),
        other => panic!("it is not refused: {other:?}"),
    }
    drop(alone);
    running.wait("input", "disconnects", 1);
    let pair = [2, 3].map(|stream| {
        let mut peer = linked(stream);
        peer.begin(700_000);
        peer
    });
    running.wait("input", "connections_refused", 2);
    drop(pair);
    running.wait("input", "disconnects", 3);
    assert_eq!(running.number("input", "connections_refused"), 2);
    // What they held was given back.
    linked(4).send(0, &lines(["x".repeat(900_000)], 0, Receipt::none()));
    running.wait("nowhere", "frames_out", 1);
}
