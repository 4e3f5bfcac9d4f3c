//! Two Aqueducts with a link between their stores: every frame arrives there once, in order, whatever becomes of either of them and of the
//! connection. Whoever takes from the receiver comes only at the end, so that it sees what its store holds.

mod peers;
mod proxy;
mod trouble;

use std::net::SocketAddr;

use crate::harness::{Destination, Feeder, Folder, Messages, Program, Sequence};

const MESSAGES: Messages = Messages::SHORT;

/// The sending Aqueduct. Its window is small, so that a lot of it is never under way.
fn sender(folder: &Folder, receiver: SocketAddr) -> Program {
    folder.run_pipeline(&format!(
        r#"
        name = "p"
        flow = ["source -> out -> there"]
        sources.source = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        spills.out = {{ directory = "out", persist = "always" }}
        sinks.there = {{ type = "link", address = "{receiver}", window_bytes = "256 KiB", retry = {{ first = "10ms", max = "100ms" }} }}
        "#
    ))
}

/// The receiving one.
fn receiver(folder: &Folder, listen: SocketAddr, store: &str) -> Program {
    folder.run_pipeline(&format!(
        r#"
        name = "p"
        flow = ["here -> in -> network"]
        sources.here = {{ type = "link", listen = "{listen}" }}
        spills.in = {{ directory = "in", persist = "always", {store} }}
        sinks.network = {{ type = "tcp_server", listen = "127.0.0.1:0" }}
        "#
    ))
}

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// An address at which nobody listens now, and a program can.
fn free() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Gives these messages to the sender, and waits until its store has them.
fn feed(sender: &Program, first: u64, last: u64) {
    Feeder::connect(sender.address_of("source"), MESSAGES).send(first..=last);
    sender.wait_for("all is durable at the sender", |status| {
        status.number("source", "settled") == last + 1 - first
    });
}

/// Waits until the sender knows that everything is durable at the receiver.
fn acknowledged(sender: &Program) {
    sender.wait_for("all is acknowledged", |status| {
        status.number("out", "waiting_frames") == 0
    });
}

/// What the receiver's store holds.
fn take(receiver: &Program, last: u64) -> Sequence {
    let mut seen = Sequence::default();
    let mut network = Destination::connect(receiver.address_of("network"), MESSAGES);
    network.take_through(last, &mut seen);
    receiver.wait_for("nothing more is there", |status| {
        status.number("in", "waiting_frames") == 0
    });
    seen
}

#[test]
fn every_frame_comes_once_and_in_order() {
    let (near, far, last) = (Folder::new(), Folder::new(), 50_000);
    let there = receiver(&far, any(), "");
    let here = sender(&near, there.address_of("here"));
    feed(&here, 1, last);
    acknowledged(&here);
    take(&there, last).assert_is(1, last);
    let status = there.status_of("p");
    assert_eq!(status.number("here", "frames_in"), last);
    assert_eq!(status.number("here", "frames_repeated"), 0);
    here.stop();
    there.stop();
}

#[test]
fn what_was_sent_while_the_receiver_was_away_comes_when_it_is_there() {
    let (near, far, last, address) = (Folder::new(), Folder::new(), 20_000, free());
    let here = sender(&near, address);
    feed(&here, 1, last);
    here.stop();
    let here = sender(&near, address);
    let there = receiver(&far, address, "");
    feed(&here, last + 1, last + 1);
    acknowledged(&here);
    take(&there, last + 1).assert_is(1, last + 1);
    here.stop();
    there.stop();
}
