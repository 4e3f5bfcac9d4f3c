//! Destinations that refuse, reset, or stop reading.

use aqueduct::framework::flight::{Cause, Sureness};

use super::{first, sending, wait_for};
use crate::harness::{Feeder, Folder, Listener, Messages, Sequence};

const MESSAGES: Messages = Messages::SHORT;

#[test]
fn a_destination_that_does_not_listen_refuses() {
    let (folder, address) = (Folder::new(), Listener::open(None).address());
    let (_program, _) = sending(&folder, address, "");
    let report = first(&folder, Cause::Refused);
    assert_eq!(report.actor, "network");
}

#[test]
fn a_destination_that_resets_while_it_reads_is_told_apart_from_one_that_stopped() {
    let (folder, listener) = (Folder::new(), Listener::open(None));
    let (program, feed) = sending(&folder, listener.address(), "");
    let mut destination = listener.accept(MESSAGES);
    Feeder::connect(feed, MESSAGES).send(1..=10);
    destination.take_through(10, &mut Sequence::default());
    destination.reset();
    let report = wait_for(&folder, Cause::PeerReset);
    assert_eq!(report.actor, "network");
    let line = program.log.first(&["network reset the connection", "frames are safe"]);
    assert!(line.contains("WARN"), "{line}");
}

#[test]
fn a_destination_that_finishes_is_no_trouble() {
    let (folder, listener) = (Folder::new(), Listener::open(None));
    let (_program, feed) = sending(&folder, listener.address(), "");
    let (mut destination, mut seen) = (listener.accept(MESSAGES), Sequence::default());
    Feeder::connect(feed, MESSAGES).send(1..=10);
    destination.take_through(10, &mut seen);
    destination.leave(&mut seen);
    let report = wait_for(&folder, Cause::PeerFinished);
    assert_eq!(report.actor, "network");
}

#[test]
fn a_destination_that_stops_reading_and_then_goes_had_stopped_reading() {
    let (folder, listener) = (Folder::new(), Listener::open(Some(16 * 1024)));
    let (program, feed) = sending(&folder, listener.address(), r#", send_buffer_bytes = "16 KiB""#);
    let mut destination = listener.accept_small(MESSAGES);
    Feeder::connect(feed, MESSAGES).send(1..=20_000);
    destination.take(5, &mut Sequence::default());
    program.wait_for("it has taken nothing for a while", |status| {
        status.edge("drain -> network").waiting_ns > 2_000_000_000
    });
    // With bytes unread its close is an RST.
    drop(destination);
    let report = wait_for(&folder, Cause::StoppedReading);
    assert_eq!(
        (report.actor.as_str(), report.sureness),
        ("network", Sureness::Certain),
        "{report:#?}"
    );
    assert!(report.sentence.contains("had taken nothing for"), "{}", report.sentence);
}
