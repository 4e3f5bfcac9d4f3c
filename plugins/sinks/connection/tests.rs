use super::{Acknowledge, ConnectionOptions};
use std::net::{Shutdown, TcpListener};
use std::rc::Rc;
use std::time::Duration;

use aqueduct_framework::plugin::Context;
use tokio::net::TcpStream;

use super::{Connection, OnPeerFin};
use crate::net::{Flight, Keepalive};

async fn connected(on_fin: OnPeerFin) -> (Connection, std::net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let stream = TcpStream::connect(listener.local_addr().expect("bound")).await;
    let (peer, _) = listener.accept().expect("it was dialled");
    let context = Context::new("p", "a", "");
    let connection = Connection::new(
        stream.expect("it listens"),
        ("peer", "127.0.0.1:0".to_owned()),
        ConnectionOptions {
            on_fin,
            keepalive: Keepalive::new(Keepalive::default_period()),
            acknowledge: Acknowledge::Written,
            settle_after: Duration::from_secs(1),
            invited: false,
        },
        &Rc::new(Flight::dialling(&context)),
        &context,
    );
    (connection, peer)
}

/// A sender that always finds room in the socket gives the reactor no turn: nothing is awaited here either.
#[tokio::test]
async fn a_fin_is_noticed_before_the_next_write_even_when_the_reactor_has_had_no_turn() {
    let (mut connection, mut peer) = connected(OnPeerFin::Reconnect).await;
    connection.check().expect("the peer is there");
    std::io::Write::write_all(&mut peer, b"thanks").expect("it is taken");
    peer.shutdown(Shutdown::Write).expect("a socket");
    let gone = connection.check().expect_err("the peer has finished");
    assert!(gone.to_string().contains("and closed after"), "{gone}");
}

#[tokio::test]
async fn a_peer_that_only_finished_sending_is_still_there_where_the_config_says_so() {
    let (mut connection, peer) = connected(OnPeerFin::Continue).await;
    peer.shutdown(Shutdown::Write).expect("a socket");
    for _ in 0..2 {
        connection.check().expect("it still reads");
    }
}
