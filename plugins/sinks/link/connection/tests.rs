use std::net::TcpListener;
use std::rc::Rc;
use std::time::Duration;

use aqueduct_framework::failure::Failure;
use aqueduct_framework::plugin::Context;
use tokio::net::TcpStream;

use super::{Connection, Linked};
use crate::link::Outgoing;
use crate::net::Flight;

/// With a limit that the plugin does not allow, because a test would wait for it.
#[tokio::test]
async fn silence_while_frames_are_not_acknowledged_ends_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let stream = TcpStream::connect(listener.local_addr().expect("bound")).await;
    let _silent = listener.accept().expect("it was dialled");
    let context = Context::new("p", "there", "");
    let mut connection = Connection::new(
        stream.expect("it listens"),
        "127.0.0.1:0".to_owned(),
        (Duration::MAX, Duration::from_millis(10)),
        (&Rc::new(Flight::dialling(&context)), &Rc::default()),
        &context,
    );
    let mut outgoing = Outgoing::new(0);
    outgoing.sent(0, 1);
    connection.linked = Some(Linked {
        outgoing,
        longest: 1024,
    });
    let error = connection.watch().await;
    assert_eq!(error.failure(), Failure::ReplyTimeout);
    assert!(error.to_string().contains("said nothing for 10ms"), "{error}");
    assert!(error.to_string().contains("(ack_timeout)"), "{error}");
}
