//! What is sent to the peer now and then, whatever comes from it.

use std::io;
use std::time::Duration;

use aqueduct_framework::plugin::Context;
use aqueduct_sys::socket;
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// What, and how often.
#[derive(Debug)]
pub(in crate::sources) struct Heartbeat {
    pub(in crate::sources) bytes: Vec<u8>,
    pub(in crate::sources) every: Duration,
}

/// Sends it until the connection fails. A peer that has not taken the one before gets no other: that is counted.
pub(super) async fn beat(heartbeat: Option<&Heartbeat>, stream: &TcpStream, context: &Context) -> io::Error {
    let Some(Heartbeat { bytes, every }) = heartbeat else {
        return std::future::pending().await;
    };
    let mut due = interval_at(Instant::now() + *every, *every);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut rest: &[u8] = &[];
    loop {
        due.tick().await;
        if rest.is_empty() && socket::unsent_bytes(stream).is_ok_and(|unsent| unsent == 0) {
            rest = bytes;
            context.counter("heartbeats").add(1);
        } else {
            context.counter("heartbeats_untaken").add(1);
        }
        match stream.try_write(rest) {
            Ok(taken) => rest = &rest[taken..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return error,
        }
    }
}
