//! The attributes of spans, by the messaging conventions of the version that [`SCHEMA_URL`] names.
//!
//! <https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/>. Texts that many spans share are counted, not copied.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::trace::SpanKind;

use crate::batch::Batch;

/// The semantic conventions by which spans and their attributes are named.
pub(super) const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.37.0";

/// What an actor does with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Receive,
    Spill,
    Process,
    Send,
}

impl Operation {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Spill => "spill",
            Self::Process => "process",
            Self::Send => "send",
        }
    }

    pub(super) fn kind(self) -> SpanKind {
        match self {
            Self::Receive => SpanKind::Consumer,
            Self::Spill | Self::Process => SpanKind::Internal,
            Self::Send => SpanKind::Producer,
        }
    }
}

/// A span of `actor` around its `operation`: the attributes that batches and messages share. Room is left for what is added later.
fn common(operation: Operation, actor: &Arc<str>, batch: &Batch) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(12);
    attributes.extend([
        KeyValue::new("messaging.system", "aqueduct"),
        KeyValue::new("messaging.operation.name", operation.name()),
        KeyValue::new("messaging.destination.name", actor.clone()),
        KeyValue::new("aqueduct.source", batch.numbers.source.clone()),
    ]);
    // The conventions know these types; waiting in a store is none of them.
    if operation != Operation::Spill {
        attributes.push(KeyValue::new("messaging.operation.type", operation.name()));
    }
    attributes
}

pub(super) fn of_batch(operation: Operation, actor: &Arc<str>, batch: &Batch) -> Vec<KeyValue> {
    let mut attributes = common(operation, actor, batch);
    attributes.push(KeyValue::new("messaging.batch.message_count", batch.len() as i64));
    if let Some((first, last)) = batch.numbers.bounds() {
        attributes.push(KeyValue::new("aqueduct.seq.first", first as i64));
        attributes.push(KeyValue::new("aqueduct.seq.last", last as i64));
    }
    attributes
}

pub(super) fn of_message(
    operation: Operation,
    actor: &Arc<str>,
    batch: &Batch,
    frame: usize,
    id: &str,
) -> Vec<KeyValue> {
    let mut attributes = common(operation, actor, batch);
    attributes.push(KeyValue::new("messaging.message.id", id.to_owned()));
    if let Some(number) = batch.numbers.get(frame) {
        attributes.push(KeyValue::new("aqueduct.seq.first", number as i64));
        attributes.push(KeyValue::new("aqueduct.seq.last", number as i64));
    }
    attributes
}

/// The other side of a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Peer {
    text: String,
    address: Arc<str>,
    port: Option<u16>,
}

impl Peer {
    /// From `127.0.0.1:9000`, `[::1]:9000`, `host:9000`; what has no port, such as the path of a Unix socket, is an address.
    pub(super) fn new(text: &str) -> Self {
        let split = text
            .rsplit_once(':')
            .and_then(|(host, port)| Some((host, port.parse().ok()?)));
        let (host, port) = split.map_or((text, None), |(host, port)| (host, Some(port)));
        Self {
            text: text.to_owned(),
            address: host.trim_start_matches('[').trim_end_matches(']').into(),
            port,
        }
    }

    pub(super) fn is(&self, text: &str) -> bool {
        self.text == text
    }

    pub(super) fn describe(&self, attributes: &mut Vec<KeyValue>) {
        attributes.push(KeyValue::new("server.address", self.address.clone()));
        if let Some(port) = self.port {
            attributes.push(KeyValue::new("server.port", i64::from(port)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_split_from_its_port() {
        for (text, address, port) in [
            ("127.0.0.1:9000", "127.0.0.1", Some(9000)),
            ("[::1]:9000", "::1", Some(9000)),
            ("feed.example:80", "feed.example", Some(80)),
            ("/run/feed.sock", "/run/feed.sock", None),
        ] {
            let peer = Peer::new(text);
            assert_eq!((&*peer.address, peer.port), (address, port));
        }
    }
}
