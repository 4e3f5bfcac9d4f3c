use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use super::super::sequence::Checker;
use super::*;

const PATIENCE: Duration = Duration::from_secs(60);

/// Everything a client gets that reads to the end, and the server's last word.
fn read_all(legacy: &Legacy, orders: Orders) -> (Checker, Done) {
    let mut server = legacy.start(orders).unwrap();
    let mut client = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).unwrap();
    drop(client);
    let mut checker = Checker::default();
    checker.feed(&bytes);
    (checker, server.finish(PATIENCE).unwrap())
}

const SHORT: Orders = Orders {
    rate: 1e6,
    time: Duration::from_millis(200),
    one_client: true,
};

#[test]
fn both_servers_send_messages_that_the_check_accepts() {
    let folder = tempfile::tempdir().unwrap();
    let legacy = Legacy::prepare(folder.path()).unwrap();
    for legacy in [legacy, Legacy::Threaded("of the test".into())] {
        let (checker, done) = read_all(&legacy, SHORT);
        assert!(done.sent_messages > 0);
        assert_eq!(checker.sequence.verified, done.sent_messages);
        assert_eq!(checker.sequence.lost(done.sent_messages), 0);
        assert_eq!(checker.sequence.damaged, 0);
    }
}

#[test]
fn both_servers_close_on_a_client_that_does_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let legacy = Legacy::prepare(folder.path()).unwrap();
    for legacy in [legacy, Legacy::Threaded("of the test".into())] {
        let orders = Orders {
            rate: 1e9,
            time: PATIENCE,
            one_client: true,
        };
        let mut server = legacy.start(orders).unwrap();
        let client = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        let done = server.finish(PATIENCE).unwrap();
        assert_eq!(done.closed_on_eagain, 1);
        assert_eq!(server.closed.as_ref().unwrap().reason, "EAGAIN");
        drop(client);
    }
}
