use std::net::SocketAddr;

use aqueduct_framework::testing::sink;
use aqueduct_sys::socket;
use tempfile::TempDir;

use super::Link;
use crate::link::testing::Peer;
use crate::testing::{Running, accept, lines, listener, send};

const INPUT: &str = "type = \"tcp_server\"\nlisten = \"127.0.0.1:0\"";

/// A pipeline from a source to a receiver that the test plays.
fn sender(source: &str, receiver: SocketAddr, options: &str) -> Running {
    Running::start(&format!(
        r#"
        flow = "input -> out -> there"
        [sources.input]
        {source}
        [spills.out]
        directory = "out"
        persist = "always"
        [sinks.there]
        type = "link"
        address = "{receiver}"
        retry = {{ first = "1ms", max = "10ms" }}
        {options}
        "#
    ))
}

#[test]
fn a_message_is_acknowledged_while_the_next_of_its_batch_waits_for_room() {
    let (receiver, address) = listener();
    socket::set_receive_buffer(&receiver, 4_096).expect("a socket");
    let (folder, frames) = (TempDir::new().expect("a folder"), 128_000);
    let path = folder.path().join("short.txt");
    // So many short frames come in one read, and go in two messages: each needs a length of its own.
    std::fs::write(&path, "a\n".repeat(frames as usize)).expect("a file");
    let source = format!("type = \"file\"\npath = \"{}\"", path.display());
    let running = sender(&source, address, "send_buffer_bytes = \"4 KiB\"");
    let mut peer = Peer::new(accept(&receiver));
    peer.welcome(0);
    let first = peer.take();
    assert!(first.end < frames, "it is one message only");
    peer.acknowledge(first.end);
    assert_eq!(peer.take(), first.end..frames);
    peer.acknowledge(frames);
    running.wait("there", "frames_out", frames);
    assert_eq!(running.number("there", "disconnects"), 0);
}

#[test]
fn every_end_is_counted_by_its_reason() {
    let (receiver, address) = listener();
    let running = sender(INPUT, address, "");
    send(&mut running.connect("input"), &lines(0..1));
    let linked = || {
        let mut peer = Peer::new(accept(&receiver));
        peer.welcome(0);
        assert_eq!(peer.take(), 0..1);
        peer
    };
    linked().reset();
    running.wait("there", "failures_reset", 1);
    drop(linked());
    running.wait("there", "failures_peer_closed", 1);
    send(&mut accept(&receiver), "HTTP/1.1 400 Bad Request\r\n");
    running.wait("there", "failures_unexpected_reply", 1);
    linked().acknowledge(1);
    running.wait("there", "frames_out", 1);
    assert_eq!(running.number("there", "failures_other"), 0);
}

#[test]
fn a_welcome_that_does_not_come_is_counted() {
    let (receiver, address) = listener();
    let running = sender(INPUT, address, "connect_timeout = \"20ms\"");
    send(&mut running.connect("input"), &lines(0..1));
    let _silent = accept(&receiver);
    running.wait("there", "failures_reply_timeout", 1);
    assert_eq!(running.number("there", "failures_other"), 0);
}

#[test]
fn an_ack_timeout_that_no_receiver_can_keep_is_refused() {
    let link = sink::<Link>("address = \"127.0.0.1:1\"\nack_timeout = \"9s\"");
    let why = link.try_start().map(|_| ()).expect_err("it is too short").to_string();
    assert!(why.contains("`ack_timeout` must be 10s or more"), "{why}");
}

#[test]
fn hello_tells_the_first_frame_that_is_kept() {
    let (receiver, address) = listener();
    let running = sender(INPUT, address, "");
    let mut input = running.connect("input");
    send(&mut input, &lines(0..10));
    let mut peer = Peer::new(accept(&receiver));
    assert_eq!(peer.welcome(0).first, 0);
    assert_eq!(peer.take(), 0..10);
    for first in [10, 20] {
        send(&mut input, &lines(0..10));
        assert_eq!(peer.take(), first..first + 10);
    }
    peer.acknowledge(5);
    peer.acknowledge(10);
    running.wait("there", "frames_out", 10);
    peer.reset();
    // One that does not answer changes nothing.
    drop(accept(&receiver));
    let mut peer = Peer::new(accept(&receiver));
    assert_eq!(peer.welcome(10).first, 10);
    assert_eq!((peer.take(), peer.take()), (10..20, 20..30));
    peer.acknowledge(25);
    drop(peer);
    let mut peer = Peer::new(accept(&receiver));
    assert_eq!(peer.welcome(25).first, 25);
}
