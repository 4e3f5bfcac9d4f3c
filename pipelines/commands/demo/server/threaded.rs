//! The same server in Rust, for machines without a C compiler: non-blocking send, EAGAIN => close, no retry, no reading.

use std::io::{self, ErrorKind, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::sleep;
use std::time::{Duration, Instant};

use aqueduct_sys::socket::{peer_closed, unread_bytes, unsent_bytes};

use super::super::message;
use super::{Closed, Done, Event, Orders, Server};

/// The pace of sending, and of looking around while waiting.
const SLICE: Duration = Duration::from_millis(1);

/// Ends the thread when dropped.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub(super) fn start(orders: Orders) -> Result<Server, String> {
    let opened = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok((listener.local_addr()?.port(), listener))
    });
    let (port, listener) = opened.map_err(|error| format!("the server cannot listen on 127.0.0.1: {error}"))?;
    let (events, received) = mpsc::channel();
    let stop = Stop(Arc::default());
    let thread = Thread {
        orders,
        events,
        stopping: stop.0.clone(),
        began: None,
        next_number: 1,
        done: Done::default(),
    };
    std::thread::spawn(move || thread.run(&listener));
    Ok(Server::new(port, received, stop))
}

struct Thread {
    orders: Orders,
    events: Sender<Event>,
    stopping: Arc<AtomicBool>,
    began: Option<Instant>,
    next_number: u64,
    done: Done,
}

impl Thread {
    fn run(mut self, listener: &TcpListener) {
        while !self.ended() {
            let Ok((client, _)) = listener.accept() else {
                sleep(SLICE);
                continue;
            };
            self.began.get_or_insert_with(Instant::now);
            self.tell(Event::Accepted {});
            self.serve(&client);
            if self.orders.one_client {
                break;
            }
        }
        self.tell(Event::Done(self.done.clone()));
    }

    fn ended(&self) -> bool {
        self.stopping.load(Ordering::Relaxed) || self.began.is_some_and(|began| began.elapsed() >= self.orders.time)
    }

    /// Nobody listens any more when the act is over.
    fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }

    fn serve(&mut self, client: &TcpStream) {
        let (began, mut sent_bytes) = (Instant::now(), 0);
        let reason = match self.push(client, began, &mut sent_bytes) {
            Ok(()) => "end",
            Err(error) if error.kind() == ErrorKind::WouldBlock => "EAGAIN",
            Err(error) if error.kind() == ErrorKind::ConnectionReset => "ECONNRESET",
            Err(error) if error.kind() == ErrorKind::BrokenPipe => "EPIPE",
            Err(_) => "other",
        };
        if reason == "end" {
            self.linger(client);
        }
        self.done.closed_on_eagain += u64::from(reason == "EAGAIN");
        self.tell(Event::Closed(Closed {
            reason: reason.to_owned(),
            sent_bytes,
            seconds: began.elapsed().as_secs_f64(),
            unacknowledged_bytes: unsent_bytes(client).unwrap_or(0),
            unread_reply_bytes: unread_bytes(client).unwrap_or(0),
        }));
    }

    fn push(&mut self, mut client: &TcpStream, began: Instant, sent_bytes: &mut u64) -> io::Result<()> {
        client.set_nonblocking(true)?;
        client.set_nodelay(true)?;
        let mut buffer = Vec::new();
        while !self.ended() {
            if *sent_bytes as f64 >= self.orders.rate * began.elapsed().as_secs_f64() {
                sleep(SLICE);
                continue;
            }
            message::write(self.next_number, &mut buffer);
            self.next_number += 1;
            let mut left = &buffer[..];
            while !left.is_empty() {
                match client.write(left) {
                    Ok(bytes) => {
                        *sent_bytes += bytes as u64;
                        left = &left[bytes..];
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => {
                        self.done.lost_messages += 1;
                        return Err(error);
                    }
                }
            }
            self.done.sent_messages += 1;
        }
        Ok(())
    }

    /// Says that nothing more comes and waits until the client has read it all and closed.
    fn linger(&self, client: &TcpStream) {
        let _ = client.shutdown(Shutdown::Write);
        while !self.stopping.load(Ordering::Relaxed) && matches!(peer_closed(client), Ok(false)) {
            sleep(SLICE);
        }
    }
}
