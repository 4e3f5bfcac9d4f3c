use std::net::SocketAddr;

use aqueduct_sys::socket;
use tempfile::TempDir;

use crate::link::testing::Peer;
use crate::testing::{Running, accept, listener};

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
