//! A collector that is not there, does not answer, or refuses: the frames do not notice, and the log tells it once.

use std::net::TcpListener;

use super::{Collector, Peers, pipeline};
use crate::harness::{Folder, Program};

/// Exports without pause, and would wait ten minutes for an answer: what hangs on the collector hangs for longer than the test has patience.
const EAGER: [(&str, &str); 2] = [
    ("OTEL_BSP_SCHEDULE_DELAY", "1"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "600000"),
];

/// What the log says of an outage.
const NO_SPANS: &str = "takes no spans";

fn run(folder: &Folder, endpoint: &str) -> Program {
    folder.write("p.toml", &pipeline(&format!("endpoint = {endpoint:?}")));
    folder.run_in(&EAGER, &["p.toml"])
}

/// Many more messages flow, and the program ends in order; returns the log.
fn assert_flows_and_ends(mut program: Program, peers: Peers) -> Vec<String> {
    let (mut feeder, mut destination, mut seen) = (peers.feeder, peers.destination, peers.seen);
    let last = seen.last() + 100_000;
    std::thread::scope(|scope| {
        let next = seen.last() + 1;
        scope.spawn(move || feeder.send(next..=last));
        destination.take_through(last, &mut seen);
    });
    seen.assert_is(1, last);
    program.terminate();
    assert_eq!(program.exit_code(), 0);
    program.log.to_the_end()
}

fn lines_with(log: &[String], words: &str) -> usize {
    log.iter().filter(|line| line.contains(words)).count()
}

#[test]
fn nobody_listens() {
    let folder = Folder::new();
    // A port that nothing else takes while this socket is bound, and where nobody listens.
    let bound = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    bound
        .bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    let port = bound.local_addr().unwrap().as_socket().unwrap().port();
    let program = run(&folder, &format!("http://127.0.0.1:{port}"));
    let mut peers = Peers::of(&program);
    peers.one_by_one(1);
    program.log.first(&[NO_SPANS, &port.to_string()]);
    let log = assert_flows_and_ends(program, peers);
    assert_eq!(lines_with(&log, NO_SPANS), 1);
    assert_eq!(lines_with(&log, "spans did not reach the collector"), 1);
}

#[test]
fn the_collector_never_answers() {
    let (folder, mute) = (Folder::new(), TcpListener::bind("127.0.0.1:0").unwrap());
    let program = run(&folder, &format!("http://{}", mute.local_addr().unwrap()));
    let mut peers = Peers::of(&program);
    peers.one_by_one(1);
    // The exporter waits for the answer to its first request while everything flows.
    let _waiting = mute.accept().unwrap();
    let log = assert_flows_and_ends(program, peers);
    assert_eq!(lines_with(&log, "spans did not reach the collector"), 1);
}

#[test]
fn the_collector_refuses_and_then_accepts() {
    let (folder, collector) = (Folder::new(), Collector::answering("403 Forbidden"));
    let program = run(&folder, &collector.endpoint);
    let mut peers = Peers::of(&program);
    for requests in 1..=3 {
        peers.one_by_one(1);
        collector.wait_for_requests(requests);
    }
    collector.answer("200 OK");
    peers.one_by_one(1);
    program.log.first(&["takes spans again"]);
    let log = assert_flows_and_ends(program, peers);
    assert_eq!(lines_with(&log, NO_SPANS), 1);
    // The whole words: a bare number could stand in a timestamp or a port.
    assert_eq!(lines_with(&log, "status code: 403"), 1, "the line says why");
    assert!(!collector.spans().0.is_empty());
}
