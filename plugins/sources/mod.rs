//! Sources: where frames come from.

#[cfg(test)]
mod conformance;
mod connection;
mod file;
mod generate;
mod input;
mod link;
mod spill;
mod stdin;
mod tcp_client;
mod tcp_server;
mod told;

use aqueduct_framework::plugin::Registry;

/// Adds every source.
pub fn register(registry: &mut Registry) {
    registry
        .source::<file::FromFile>()
        .source::<generate::Generate>()
        .source::<spill::FromStore>()
        .source::<link::Link>()
        .source::<stdin::Stdin>()
        .source::<tcp_client::TcpClient>()
        .source::<tcp_server::TcpServer>();
}
