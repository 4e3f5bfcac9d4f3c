//! Destinations that refuse, reset, or stop reading.

use std::io::Read;
use std::net::{TcpListener, TcpStream};

use aqueduct::framework::flight::{Cause, Report, Sureness};
use socket2::{SockFilter, SockRef};

use super::{first, reports, sending, wait_for, wait_for_nth};
use crate::harness::{Feeder, Folder, Listener, Messages, Sequence, wait_until};

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
    let line = program
        .log
        .first(&["network reset the connection", "waits in the spill store"]);
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
    // The feeder has finished too.
    wait_until("the destination's end is told", || {
        let finished = |report: &Report| report.actor == "network" && report.cause == Cause::PeerFinished;
        reports(&folder).iter().any(finished).then_some(())
    });
}

#[test]
fn a_client_that_comes_and_leaves_at_once_turned_nobody_away() {
    let folder = Folder::new();
    let program = folder.run_pipeline(
        r#"
        name = "p"
        flow = ["feed -> out", "other -> network"]
        sources.feed = { type = "tcp_server", listen = "127.0.0.1:0" }
        sinks.out = { type = "blackhole" }
        sources.other = { type = "tcp_server", listen = "127.0.0.1:0" }
        sinks.network = { type = "tcp_server", listen = "127.0.0.1:0" }
        "#,
    );
    // At a sink it is a probe, of which there is nothing to report.
    drop(TcpStream::connect(program.address_of("network")).unwrap());
    program.wait_for("the probe is counted", |status| status.number("network", "probes") == 1);
    drop(TcpStream::connect(program.address_of("feed")).unwrap());
    let report = wait_for_nth(&folder, 1, Cause::PeerFinished);
    assert_eq!(report.actor, "feed", "{report:#?}");
}

#[test]
fn a_destination_that_stops_reading_and_then_goes_had_stopped_reading() {
    let (folder, listener) = (Folder::new(), Listener::open(Some(16 * 1024)));
    let (program, feed) = sending(&folder, listener.address(), r#", send_buffer_bytes = "16 KiB""#);
    let mut destination = listener.accept_small(MESSAGES);
    Feeder::connect(feed, MESSAGES).send(1..=20_000);
    destination.take(5, &mut Sequence::default());
    program.wait_for("it has taken nothing for a while", |status| {
        let since_ns = status.number("network", "stalled_since_ns");
        since_ns != 0 && status.0.uptime_ns > since_ns + 2_000_000_000
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
    // It had acknowledged what it did not read.
    let unread = |line: &String| line.contains("were acknowledged by its kernel and not confirmed to be read");
    assert!(report.evidence.iter().any(unread), "{report:#?}");
}

#[test]
fn a_destination_that_vanishes_is_half_open() {
    let (folder, listener) = (Folder::new(), TcpListener::bind("127.0.0.1:0").unwrap());
    let (_program, feed) = sending(&folder, listener.local_addr().unwrap(), r#", keepalive = "1s""#);
    let mut destination = listener.accept().unwrap().0;
    Feeder::connect(feed, MESSAGES).send(1..=1);
    destination.read_exact(&mut [0; 100]).unwrap();
    // It hears nothing any more: a filter that takes 0 bytes of every packet (BPF_RET | BPF_K, socket(7)).
    SockRef::from(&destination)
        .attach_filter(&[SockFilter::new(0x06, 0, 0, 0)])
        .unwrap();
    let report = wait_for(&folder, Cause::HalfOpen);
    assert_eq!(report.actor, "network");
}

#[test]
fn a_destination_that_resets_in_a_loop_does_not_flood_the_log() {
    let (folder, listener) = (Folder::new(), Listener::open(None));
    let (program, feed) = sending(&folder, listener.address(), ", acknowledge = \"written\"");
    let mut feeder = Feeder::connect(feed, MESSAGES);
    for number in 1..=40 {
        let mut destination = listener.accept(MESSAGES);
        feeder.send(number..=number);
        destination.next().expect("the message");
        destination.reset();
    }
    program.wait_for("all are counted", |status| {
        status.number("network", "disconnects") >= 40
    });
    program.log.first(&["WARN", "number 32 of its kind"]);
    let lines = program.log.so_far();
    let said = lines
        .iter()
        .filter(|line| line.contains("waits in the spill store"))
        .count();
    // 1, 2, 4 ... 32.
    assert_eq!(said, 6, "{lines:#?}");
}
