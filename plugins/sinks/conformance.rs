//! Every sink keeps the contract of its trait.

use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use aqueduct_framework::config::Role;
use aqueduct_framework::plugin::Registry;
use aqueduct_framework::testing::RunningSink;
use aqueduct_framework::testing::conformance::sink;
use tempfile::TempDir;

use super::{blackhole, file, link, stdout, tcp_client, tcp_server};
use crate::link::testing::Peer;
use crate::testing::{accept, listener, read_all_bytes};

#[test]
fn every_sink_conforms() {
    let mut registry = Registry::default();
    super::register(&mut registry);
    for about in registry.all(Role::Sink) {
        match about.info.name.as_str() {
            "blackhole" => sink::<blackhole::Blackhole>().check(),
            "file" => file(),
            "link" => {
                let (listener, address) = listener();
                sink::<link::Link>()
                    .options(&format!("address = \"{address}\""))
                    .peer(move |_| links(&listener), arrived)
                    .check();
            }
            // What cargo shows of a test that passes is nothing.
            "stdout" => sink::<stdout::Stdout>().frames(["conforms"]).check(),
            "tcp_client" => {
                let (listener, address) = listener();
                sink::<tcp_client::TcpClient>()
                    .options(&format!("address = \"{address}\""))
                    .peer(move |_| serves(&listener), arrived)
                    .check();
            }
            "tcp_server" => {
                for clients in ["one", "all"] {
                    sink::<tcp_server::TcpServer>()
                        .options(&format!("listen = \"127.0.0.1:0\"\nclients = \"{clients}\""))
                        .peer(
                            |running: &RunningSink| reads(TcpStream::connect(running.address()).expect("it listens")),
                            arrived,
                        )
                        .check();
                }
            }
            name => panic!("nobody holds the sink `{name}` to its contract: add it here"),
        }
    }
}

fn file() {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("out.txt");
    sink::<file::FileSink>()
        .folder(folder.path())
        .options("path = \"out.txt\"")
        .peer(|_| (), move |()| std::fs::read(&path).expect("it was written"))
        .check();
}

/// Receives what the first connection brings that brings something.
fn links(listener: &TcpListener) -> JoinHandle<Vec<u8>> {
    let listener = listener.try_clone().expect("a listener");
    thread::spawn(move || {
        let mut brought = Vec::new();
        while brought.is_empty() {
            brought = Peer::new(accept(&listener)).receive();
        }
        brought
    })
}

/// Reads the first connection that brings something: the suite also opens sinks that it gives nothing to.
fn serves(listener: &TcpListener) -> JoinHandle<Vec<u8>> {
    let listener = listener.try_clone().expect("a listener");
    thread::spawn(move || {
        let mut brought = Vec::new();
        while brought.is_empty() {
            brought = read_all_bytes(accept(&listener));
        }
        brought
    })
}

/// Reads to the end, or to a reset.
fn reads(stream: TcpStream) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || read_all_bytes(stream))
}

fn arrived(reader: JoinHandle<Vec<u8>>) -> Vec<u8> {
    reader.join().expect("it reads to the end")
}
