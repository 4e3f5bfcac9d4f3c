//! Peers that end in many ways while we keep up with reading.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use aqueduct::framework::flight::{Cause, Report, Sureness};
use socket2::{SockFilter, SockRef};

use super::{dialling, first, reports, wait_for, wait_for_nth};
use crate::harness::{CServer, Folder, Listener, PATIENCE, wait_until};

fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

fn accept(peer: &TcpListener) -> TcpStream {
    let stream = peer.accept().expect("the source dials").0;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Ends with an RST, once the other side's kernel has everything.
fn reset(stream: TcpStream) {
    wait_until("what was sent has arrived", || {
        (aqueduct_sys::socket::unsent_bytes(&stream).unwrap() == 0).then_some(())
    });
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}

const REPLY: &str = r#", reply = { template = "thank you for your line\n" }"#;

#[test]
fn a_peer_that_ends_between_two_frames_has_finished() {
    let (folder, peer) = (Folder::new(), listen());
    let _program = dialling(&folder, peer.local_addr().unwrap(), "");
    accept(&peer).write_all(b"one\ntwo\n").unwrap();
    let report = first(&folder, Cause::PeerFinished);
    assert_eq!(report.sureness, Sureness::Certain);
}

#[test]
fn a_peer_that_ends_within_a_frame_is_told_apart_from_one_that_finishes() {
    let (folder, peer) = (Folder::new(), listen());
    let _program = dialling(&folder, peer.local_addr().unwrap(), "");
    accept(&peer).write_all(b"one\ntw").unwrap();
    let report = first(&folder, Cause::CutOff);
    assert!(report.sentence.contains("2 bytes of it came"), "{}", report.sentence);
}

#[test]
fn a_peer_that_never_listened_refuses() {
    let (folder, address) = (Folder::new(), Listener::open(None).address());
    let program = dialling(&folder, address, "");
    let report = first(&folder, Cause::Refused);
    assert!(report.sentence.contains("nobody listens"), "{}", report.sentence);
    program.wait_for("it is dialled again and again", |status| {
        status.number("feed", "refused") >= 10
    });
    assert_eq!(reports(&folder).len(), 1, "an outage is told once");
}

#[test]
fn a_peer_that_is_killed_within_a_frame_has_crashed_and_was_restarted_when_it_is_back() {
    let folder = Folder::new();
    // A small send buffer keeps little under way, so that the reader never falls behind however long the message.
    let options = [
        "--min-bytes",
        "20000000",
        "--max-bytes",
        "20000000",
        "--send-buffer",
        "4096",
        "--wait-on-eagain",
    ];
    let server = CServer::start(&options);
    let address = server.address.clone();
    let framing = r#", framing = { type = "delimited", max_frame_bytes = "64 MiB" }, partial_bytes = "64 MiB""#;
    let program = dialling(&folder, &address, framing);
    program.wait_for("it reads", |status| status.number("feed", "reads") > 0);
    // kill -9
    drop(server);
    let report = wait_for(&folder, Cause::PeerCrashed);
    assert!(report.sentence.contains("nobody listens"), "{}", report.sentence);
    assert_eq!(reports(&folder)[0].cause, Cause::CutOff, "{:#?}", reports(&folder));
    let port = address.rsplit(':').next().unwrap();
    let _again = CServer::start(&[&options[..], &["--port", port]].concat());
    let report = wait_for(&folder, Cause::PeerRestarted);
    assert!(report.sentence.contains("it is back after"), "{}", report.sentence);
}

#[test]
fn a_peer_that_is_stopped_between_two_frames_is_not_called_crashed() {
    let (folder, peer) = (Folder::new(), listen());
    let program = dialling(&folder, peer.local_addr().unwrap(), "");
    let mut stream = accept(&peer);
    stream.write_all(b"one\n").unwrap();
    program.wait_for("it arrives", |status| status.number("out", "frames_out") == 1);
    drop(peer);
    drop(stream);
    wait_for(&folder, Cause::PeerStopped);
    assert!(reports(&folder).iter().all(|report| report.cause != Cause::PeerCrashed));
}

#[test]
fn a_peer_that_closes_after_equal_silences_has_an_idle_timeout() {
    let (folder, peer) = (Folder::new(), listen());
    let _program = dialling(&folder, peer.local_addr().unwrap(), "");
    // Two silences are enough, unless the machine was so busy that they were not equal.
    let certain = (0..20).find_map(|_| {
        let mut stream = accept(&peer);
        stream.write_all(b"one\n").unwrap();
        // Its idle timeout: nothing comes, because nobody replies.
        stream.set_read_timeout(Some(Duration::from_millis(2_000))).unwrap();
        stream.read_exact(&mut [0]).unwrap_err();
        let sure = |report: &Report| report.cause == Cause::IdleTimeout && report.sureness == Sureness::Certain;
        reports(&folder).into_iter().find(sure)
    });
    assert!(
        certain.is_some(),
        "equal silences are an idle timeout: {:#?}",
        reports(&folder)
    );
    assert_eq!(
        reports(&folder)[0].cause,
        Cause::PeerFinished,
        "one short silence proves nothing"
    );
}

#[test]
fn our_own_idle_timeout_is_ours() {
    let folder = Folder::new();
    let program = folder.run_pipeline(
        r#"
        name = "p"
        flow = ["feed -> out"]
        sources.feed = { type = "tcp_server", listen = "127.0.0.1:0", idle_timeout = "200ms" }
        sinks.out = { type = "blackhole" }
        "#,
    );
    let _silent = TcpStream::connect(program.address_of("feed")).unwrap();
    let report = first(&folder, Cause::OwnIdleTimeout);
    assert!(report.sentence.contains("200 ms"), "{}", report.sentence);
}

#[test]
fn a_peer_that_closes_with_replies_unread_is_no_peer_that_resets() {
    let (folder, peer) = (Folder::new(), listen());
    let program = dialling(&folder, peer.local_addr().unwrap(), REPLY);
    let mut stream = accept(&peer);
    for round in 1..=200 {
        stream.write_all(b"one\n").unwrap();
        program_replied(&program, round);
    }
    wait_until("the replies have arrived", || {
        (aqueduct_sys::socket::unread_bytes(&stream).unwrap() >= 200 * 24).then_some(())
    });
    drop(stream);
    let report = first(&folder, Cause::RepliesUnread);
    assert_eq!(report.sureness, Sureness::Likely, "{report:#?}");
}

fn program_replied(program: &crate::harness::Program, count: u64) {
    program.wait_for("the reply is sent", |status| status.number("feed", "replies") >= count);
}

#[test]
fn a_peer_that_reads_its_replies_and_resets_is_not_blamed_for_unread_ones() {
    let (folder, peer) = (Folder::new(), listen());
    let _program = dialling(&folder, peer.local_addr().unwrap(), REPLY);
    let mut stream = accept(&peer);
    // More replies than a window holds, so that the window must have moved.
    let mut reply = [0; 24];
    for _ in 0..20_000 {
        stream.write_all(b"one\n").unwrap();
        stream.read_exact(&mut reply).unwrap();
    }
    reset(stream);
    let report = first(&folder, Cause::PeerReset);
    assert_eq!(report.sureness, Sureness::Unsure, "{report:#?}");
}

#[test]
fn a_peer_that_resets_without_any_pressure_is_not_explained_by_ours() {
    let (folder, peer) = (Folder::new(), listen());
    let program = dialling(&folder, peer.local_addr().unwrap(), "");
    let mut stream = accept(&peer);
    stream.write_all(b"one\n").unwrap();
    program.wait_for("it arrives", |status| status.number("out", "frames_out") == 1);
    reset(stream);
    let report = first(&folder, Cause::PeerReset);
    assert!(report.sentence.contains("while we kept up"), "{}", report.sentence);
}

#[test]
fn a_peer_that_vanishes_without_a_goodbye_is_half_open() {
    let (folder, peer) = (Folder::new(), listen());
    let program = dialling(&folder, peer.local_addr().unwrap(), r#", keepalive = "1s""#);
    let mut stream = accept(&peer);
    stream.write_all(b"one\n").unwrap();
    program.wait_for("it arrives", |status| status.number("out", "frames_out") == 1);
    // From here on its kernel hears nothing any more and so answers nothing, as if the cable were cut: a filter that takes 0 bytes
    // of every packet (BPF_RET | BPF_K, socket(7)). No privilege is needed for that.
    SockRef::from(&stream)
        .attach_filter(&[SockFilter::new(0x06, 0, 0, 0)])
        .unwrap();
    let report = first(&folder, Cause::HalfOpen);
    assert!(report.sentence.contains("ETIMEDOUT"), "{}", report.sentence);
}

#[test]
fn a_peer_that_accepts_and_closes_at_once_turned_us_away() {
    let (folder, peer) = (Folder::new(), listen());
    let _program = dialling(&folder, peer.local_addr().unwrap(), "");
    for _ in 0..3 {
        drop(accept(&peer));
    }
    wait_for_nth(&folder, 3, Cause::TurnedAway);
}
