use std::net::{SocketAddr, TcpListener, TcpStream};

use aqueduct_framework::plugin::Context;

use super::{Buffers, Listen, Listener};

async fn listening(address: &str) -> Listener {
    let bound = listen(address).bind(&Context::new("p", "a", "")).await;
    bound.expect("it can be listened on")
}

fn listen(address: &str) -> Listen {
    Listen {
        address: address.to_owned(),
        buffers: Buffers::new(None, None),
    }
}

fn port(listener: &Listener) -> u16 {
    let address = listener.address();
    let (_, port) = address.rsplit_once(':').expect("a port");
    port.parse().expect("a number")
}

#[tokio::test]
async fn localhost_and_all_addresses_are_both_families_and_peers_are_shown_as_they_are() {
    let has_v6 = TcpListener::bind("[::1]:0").is_ok();
    for address in ["localhost:0", "*:0"] {
        let listener = listening(address).await;
        for host in ["127.0.0.1", "::1"].into_iter().take(1 + usize::from(has_v6)) {
            let client = TcpStream::connect((host, port(&listener))).expect("it listens there");
            let (_, peer) = listener.accept().await;
            assert_eq!(peer, client.local_addr().expect("bound"));
        }
    }
}

#[tokio::test]
async fn an_address_in_use_in_one_family_is_an_error() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = taken.local_addr().expect("bound").port();
    let listen = listen(&format!("localhost:{port}"));
    let bound = listen.bind(&Context::new("p", "a", "")).await;
    let said = bound.err().expect("127.0.0.1 is taken").to_string();
    assert!(said.contains("another program uses this address"), "{said}");
}

#[tokio::test]
async fn where_it_listens_can_be_read_as_an_address() {
    let address: SocketAddr = listening("127.0.0.1:0").await.address().parse().expect("one");
    assert_eq!(address.ip().to_string(), "127.0.0.1");
}
