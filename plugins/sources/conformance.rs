//! Every source keeps the contract of its trait.

use std::net::TcpStream;

use aqueduct_framework::config::Role;
use aqueduct_framework::plugin::Registry;
use aqueduct_framework::receipt::Receipt;
use aqueduct_framework::testing::conformance::source;
use aqueduct_framework::testing::{RunningSource, lines as frames};

use super::{file, generate, link, spill, stdin, tcp_client, tcp_server};
use crate::link::testing::Peer;
use crate::testing::{accept, lines, listener, send};

#[test]
fn every_source_conforms() {
    let mut registry = Registry::default();
    super::register(&mut registry);
    for about in registry.all(Role::Source) {
        match about.info.name.as_str() {
            "file" => file::tests::conforms(),
            "generate" => source::<generate::Generate>().check(),
            "spill" => spill::tests::conforms(),
            "link" => source::<link::Link>()
                .options("listen = \"127.0.0.1:0\"")
                .peer(|running: &RunningSource| linked(TcpStream::connect(running.address()).expect("it listens")))
                .check(),
            "stdin" => stdin::tests::conforms(),
            "tcp_client" => {
                let (listener, address) = listener();
                source::<tcp_client::TcpClient>()
                    .options(&format!("address = \"{address}\""))
                    .peer(move |_| feed(accept(&listener)))
                    .check();
            }
            "tcp_server" => source::<tcp_server::TcpServer>()
                .options("listen = \"127.0.0.1:0\"")
                .peer(|running: &RunningSource| feed(TcpStream::connect(running.address()).expect("it listens")))
                .check(),
            name => panic!("nobody holds the source `{name}` to its contract: add it here"),
        }
    }
}

/// A sender of two batches.
fn linked(stream: TcpStream) -> Peer {
    let mut peer = Peer::new(stream);
    peer.link(7);
    for first in [0, 500] {
        let numbers: Vec<String> = (first..first + 500).map(|number| format!("line {number}")).collect();
        peer.send(first, &frames(numbers, first, Receipt::none()));
    }
    peer
}

/// More than one read takes.
fn feed(mut stream: TcpStream) -> TcpStream {
    send(&mut stream, &lines(0..50_000));
    stream
}
