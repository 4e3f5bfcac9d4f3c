//! Every source keeps the contract of its trait.

use std::net::TcpStream;

use aqueduct_framework::config::Role;
use aqueduct_framework::plugin::Registry;
use aqueduct_framework::testing::RunningSource;
use aqueduct_framework::testing::conformance::source;

use super::{file, generate, spill, stdin, tcp_client, tcp_server};
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

/// More than one read takes.
fn feed(mut stream: TcpStream) -> TcpStream {
    send(&mut stream, &lines(0..50_000));
    stream
}
