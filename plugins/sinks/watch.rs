//! What the flight recorder of a connection that is written notes: what was written, and what the peer does not take.

use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use aqueduct_framework::flight::{Event, Recorder, SLOT_MS, Sample, Side};
use aqueduct_framework::plugin::Context;
use aqueduct_framework::telemetry::{Gauge, uptime_ns};
use aqueduct_sys::socket;
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use crate::net::{Flight, Flown, Told};

/// The kernel's queues are looked at no more often than this, a slot of the recorder, and only while the socket takes nothing.
const LOOK_EVERY: Duration = Duration::from_millis(SLOT_MS);

pub(super) struct Watch {
    who: String,
    flight: Rc<Flight>,
    recorder: Recorder,
    began: Instant,
    /// Since when the socket has taken nothing, for those upstream who ask whom they wait for; 0 while it does.
    stalled_since_ns: Gauge,
    refused_since: Option<Instant>,
    due: Pin<Box<Sleep>>,
}

impl Watch {
    pub(super) fn new(who: &str, flight: Rc<Flight>, context: &Context) -> Self {
        Self {
            who: who.to_owned(),
            flight,
            recorder: Recorder::default(),
            began: Instant::now(),
            stalled_since_ns: context.gauge("stalled_since_ns"),
            refused_since: None,
            due: Box::pin(sleep(LOOK_EVERY)),
        }
    }

    pub(super) fn wrote(&mut self, bytes: usize) {
        let now = Instant::now();
        self.note_wait(now);
        if self.refused_since.take().is_some() {
            self.stalled_since_ns.set(0);
        }
        self.recorder.wrote(self.ms(now), bytes as u64);
    }

    /// The socket took nothing.
    pub(super) fn refused(&mut self) {
        if self.refused_since.is_none() {
            self.refused_since = Some(Instant::now());
            self.stalled_since_ns.set(uptime_ns());
        }
    }

    /// Resolves when it is time to look again. Cancel-safe.
    pub(super) async fn due(&mut self) {
        self.due.as_mut().await;
    }

    /// Looks at what the peer does not take.
    pub(super) fn look(&mut self, stream: &TcpStream) {
        let now = Instant::now();
        self.note_wait(now);
        self.sample(stream, now, true);
        self.due.as_mut().reset((now + LOOK_EVERY).into());
    }

    /// Notes, before the end is judged, what the peer's kernel may have taken in vain.
    pub(super) fn leaves_unconfirmed(&mut self, bytes: u64) {
        self.recorder.leaves_unconfirmed(bytes);
    }

    /// Judges the end of the connection.
    pub(super) fn ended(&mut self, stream: &TcpStream, address: &str, event: Event) -> Told {
        let now = Instant::now();
        self.sample(stream, now, self.refused_since.is_some());
        let flown = Flown {
            who: &self.who,
            address,
            side: Side::Writing,
            recorder: &self.recorder,
            age_ms: self.ms(now),
        };
        self.flight.judged(&flown, event)
    }

    fn note_wait(&mut self, now: Instant) {
        if let Some(since) = &mut self.refused_since {
            let waited = now.duration_since(*since).as_millis() as u64;
            *since = now;
            let now_ms = self.ms(now);
            self.recorder.waited(now_ms, waited);
        }
    }

    /// Asks the kernel. A socket that takes nothing is full, whatever the figures say: the kernel counts its own bookkeeping in.
    fn sample(&mut self, stream: &TcpStream, now: Instant, full: bool) {
        let Ok(info) = socket::tcp_info(stream) else { return };
        let waiting = socket::unsent_bytes(stream).unwrap_or(0);
        let sample = Sample {
            waiting,
            room: if full { waiting } else { 0 },
            window: info.snd_wnd.map_or(0, u64::from),
            retransmits: info.total_retransmits,
            ..Sample::default()
        };
        self.recorder.sample(self.ms(now), &sample, None);
    }

    fn ms(&self, at: Instant) -> u64 {
        at.duration_since(self.began).as_millis() as u64
    }
}

/// A connection that is gone holds nobody up; what does now is said in words.
impl Drop for Watch {
    fn drop(&mut self) {
        self.stalled_since_ns.set(0);
    }
}
