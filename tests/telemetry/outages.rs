//! A collector that is not there, does not answer, refuses, or is slow: the frames do not notice, the memory does not, and the log tells it once.

use std::net::TcpListener;

use super::collector::Transport::{self, Grpc, Http};
use super::{Collector, Peers, pipeline};
use crate::harness::{Folder, Program};

/// Exports without pause, and would wait ten minutes for an answer: what hangs on the collector hangs for longer than the test has patience.
const EAGER: [(&str, &str); 2] = [
    ("OTEL_BSP_SCHEDULE_DELAY", "1"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "600000"),
];

/// What the log says of an outage.
const NO_SPANS: &str = "takes no spans";

/// So few that a test has more spans than may wait.
const QUEUE_SPANS: u64 = 64;

fn run(folder: &Folder, transport: Transport, endpoint: &str) -> Program {
    let keys = format!("endpoint = {endpoint:?}, protocol = \"{transport}\", queue_spans = {QUEUE_SPANS}");
    folder.write("p.toml", &pipeline(&keys));
    folder.run_in(&EAGER, &["p.toml"])
}

/// Many more messages flow, and the program ends in order; returns the log.
fn assert_flows_and_ends(mut program: Program, peers: Peers) -> Vec<String> {
    let (mut feeder, mut destination, mut seen) = (peers.feeder, peers.destination, peers.seen);
    let last = seen.last() + 1_000_000;
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

/// The numbers of the last line: spans that did not reach the collector, spans made, spans that found the queue full.
fn lost(log: &[String]) -> [u64; 3] {
    let mut lines = log
        .iter()
        .filter(|line| line.contains("spans did not reach the collector"));
    let (Some(line), None) = (lines.next(), lines.next()) else {
        panic!("one line: {log:?}")
    };
    let pattern = r"(\d+) of (\d+) spans did not reach .*, (\d+) of them because 64 waited already";
    let numbers = regex::Regex::new(pattern).unwrap().captures(line);
    let numbers = numbers.unwrap_or_else(|| panic!("{line}"));
    [1, 2, 3].map(|group| numbers[group].parse().unwrap())
}

#[test]
fn nobody_listens() {
    for (transport, why) in [(Http, "network error"), (Grpc, "refused")] {
        let folder = Folder::new();
        // A port that nothing else takes while this socket is bound, and where nobody listens.
        let bound = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        bound
            .bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into())
            .unwrap();
        let port = bound.local_addr().unwrap().as_socket().unwrap().port();
        let program = run(&folder, transport, &format!("http://127.0.0.1:{port}"));
        let mut peers = Peers::of(&program);
        peers.one_by_one(1);
        program.log.first(&[NO_SPANS, &port.to_string(), why]);
        let log = assert_flows_and_ends(program, peers);
        assert_eq!(lines_with(&log, NO_SPANS), 1);
        let [missing, made, _] = lost(&log);
        assert_eq!(missing, made);
    }
}

#[test]
fn the_collector_never_answers() {
    for transport in [Http, Grpc] {
        let (folder, mute) = (Folder::new(), TcpListener::bind("127.0.0.1:0").unwrap());
        let program = run(&folder, transport, &format!("http://{}", mute.local_addr().unwrap()));
        let mut peers = Peers::of(&program);
        peers.one_by_one(1);
        // The exporter waits for the answer to its first request while everything flows.
        let _waiting = mute.accept().unwrap();
        peers.one_by_one(500);
        let before = program.peak_memory_bytes();
        // Kept, their 20,000 spans would take about 20 MB.
        peers.one_by_one(5_000);
        let grown = program.peak_memory_bytes() - before;
        assert!(grown < 8 << 20, "{grown} bytes more, for spans that nobody takes");
        let log = assert_flows_and_ends(program, peers);
        let [missing, made, unqueued] = lost(&log);
        assert_eq!(missing, made);
        assert!(
            made - unqueued <= QUEUE_SPANS * 2,
            "{made} made, {unqueued} dropped: more waited than may"
        );
    }
}

#[test]
fn the_collector_is_slow() {
    for transport in [Http, Grpc] {
        let (folder, collector) = (Folder::new(), Collector::speaking(transport));
        collector.hold();
        let program = run(&folder, transport, &collector.endpoint);
        let mut peers = Peers::of(&program);
        peers.one_by_one(1);
        collector.wait_for_requests(1);
        peers.one_by_one(500);
        collector.release();
        program.log.first(&["is slower than spans come", "queue_spans"]);
        let log = assert_flows_and_ends(program, peers);
        let [missing, made, unqueued] = lost(&log);
        assert_eq!(missing, unqueued, "nothing else was lost");
        assert_eq!(collector.spans().0.len() as u64, made - missing);
    }
}

#[test]
fn the_collector_refuses_and_then_accepts() {
    for (transport, why) in [(Http, "status code: 403"), (Grpc, "PermissionDenied")] {
        let (folder, collector) = (Folder::new(), Collector::speaking(transport));
        collector.refuse(true);
        let program = run(&folder, transport, &collector.endpoint);
        let mut peers = Peers::of(&program);
        for requests in 1..=3 {
            peers.one_by_one(1);
            collector.wait_for_requests(requests);
        }
        collector.refuse(false);
        peers.one_by_one(1);
        program.log.first(&["takes spans again"]);
        let log = assert_flows_and_ends(program, peers);
        assert_eq!(lines_with(&log, NO_SPANS), 1);
        // The whole words: a bare number could stand in a timestamp or a port.
        assert_eq!(lines_with(&log, why), 1, "the line says why");
        assert!(!collector.spans().0.is_empty());
    }
}
