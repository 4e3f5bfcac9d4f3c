//! Sinks: where frames go.

mod blackhole;
#[cfg(test)]
mod conformance;
mod connection;
mod file;
mod link;
mod reply;
mod stdout;
mod tcp_client;
mod tcp_server;
mod watch;

use aqueduct_framework::plugin::Registry;

/// Adds every sink.
pub fn register(registry: &mut Registry) {
    registry
        .sink::<blackhole::Blackhole>()
        .sink::<file::FileSink>()
        .sink::<link::Link>()
        .sink::<stdout::Stdout>()
        .sink::<tcp_client::TcpClient>()
        .sink::<tcp_server::TcpServer>();
}
