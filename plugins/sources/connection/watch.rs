//! Headroom, measured while reading: how long bytes waited for us, and how many. It goes into the meters of the source and into the
//! connection's flight recorder.

use std::time::{Duration, Instant};

use aqueduct_framework::flight::{Blame, Recorder, SLOT_MS, Sample};
use aqueduct_framework::plugin::Context;
use aqueduct_framework::telemetry::{Counter, Gauge};
use aqueduct_sys::socket;
use tokio::net::TcpStream;

/// Gaps below this are not looked into when the socket had been empty: asking the kernel at every small read would delay what was read.
const NOTABLE_GAP: Duration = Duration::from_millis(10);

/// The kernel's queues are looked at no more often than this, a slot of the recorder.
pub(in crate::sources) const LOOK_EVERY: Duration = Duration::from_millis(SLOT_MS);

/// A receive buffer that has been full for this long is told, in milliseconds.
const STALLED_MS: u64 = 1_000;

/// After a wait of this long little changes any more: the queues are looked at only as often as this. A thousand connections may wait.
const LONG_HOLD: Duration = Duration::from_secs(2);

/// One connection's reading; the peaks of the meters are those of all connections of the source.
pub(in crate::sources) struct Watch {
    reads: Counter,
    longest_gap_us: Gauge,
    unread_bytes_peak: Gauge,
    receive_buffer_bytes: Gauge,
    recorder: Recorder,
    began: Instant,
    /// When the last turn ended, or the connection began.
    last_read: Instant,
    /// Since when the socket could have been read: the last turn's end, or when demand came back.
    readable_since: Instant,
    /// The last turn left bytes behind, as far as we know.
    left_bytes: bool,
    turn: Turn,
    /// Bytes that the last turn with any found.
    found: u64,
    /// Since when there has been no demand, as far as it is not noted yet.
    held_since: Option<Instant>,
    /// When that wait began.
    held_from: Instant,
    /// When the queues were last looked at because demand came back.
    released_at: Instant,
    /// The beginning of the stall that was told last.
    told: Option<u64>,
    /// Replies are sent, so that it matters whether the peer takes them.
    replying: bool,
}

/// What was read since the turn began.
#[derive(Default)]
struct Turn {
    bytes: u64,
    reads: u32,
    replied: u64,
    gap: Duration,
    empty: Duration,
}

impl Watch {
    pub(in crate::sources) fn new(context: &Context, stream: &TcpStream, replying: bool) -> Self {
        let now = Instant::now();
        let mut watch = Self {
            reads: context.counter("reads"),
            longest_gap_us: context.gauge("longest_gap_us"),
            unread_bytes_peak: context.gauge("unread_bytes_peak"),
            receive_buffer_bytes: context.gauge("receive_buffer_bytes"),
            recorder: Recorder::default(),
            began: now,
            last_read: now,
            readable_since: now,
            left_bytes: false,
            turn: Turn::default(),
            found: 0,
            held_since: None,
            held_from: now,
            released_at: now,
            told: None,
            replying,
        };
        if replying {
            // Where the peer's window ends before the first reply.
            watch.sample(stream, now, 0, None);
        }
        watch
    }

    pub(in crate::sources) fn turn_begins(&mut self) {
        self.turn = Turn::default();
    }

    /// Notes a read of `bytes`; `filled` when the buffer could take no more. The first read of a turn took what had gathered since the
    /// last, so the kernel needs to be asked only when that was more than one read.
    pub(in crate::sources) fn read(&mut self, stream: &TcpStream, bytes: usize, filled: bool) {
        self.reads.add(1);
        self.turn.bytes += bytes as u64;
        self.turn.reads += 1;
        if self.turn.reads > 1 {
            return;
        }
        let behind = if filled {
            socket::unread_bytes(stream).unwrap_or(0)
        } else {
            0
        };
        let unread = bytes as u64 + behind;
        if unread > self.unread_bytes_peak.get() {
            self.unread_bytes_peak.set(unread);
            self.receive_buffer_bytes
                .set(socket::receive_buffer(stream).unwrap_or(0) as u64);
        }
        let now = Instant::now();
        let since_last = now.duration_since(self.last_read);
        self.turn.gap = self.gap(stream, since_last);
        if !self.left_bytes {
            self.turn.empty = now.duration_since(self.readable_since);
        }
        self.longest_gap_us.raise(self.turn.gap.as_micros() as u64);
        if behind > 0 && self.is_due(now) {
            self.sample(stream, now, bytes as u64, None);
        }
    }

    /// Notes bytes of replies that were sent.
    pub(in crate::sources) fn replied(&mut self, bytes: u64) {
        self.turn.replied += bytes;
    }

    pub(in crate::sources) fn turn_ends(&mut self, left_bytes: bool) {
        self.left_bytes = left_bytes;
        self.last_read = Instant::now();
        self.readable_since = self.last_read;
        if self.turn.reads > 0 {
            let (now_ms, turn) = (self.ms(self.last_read), std::mem::take(&mut self.turn));
            self.found = turn.bytes;
            let ms = |time: Duration| time.as_millis() as u64;
            self.recorder
                .read(now_ms, turn.bytes, turn.reads, ms(turn.gap), ms(turn.empty));
            self.recorder.replied(now_ms, turn.replied);
        }
    }

    /// Without demand nothing may be read. Returns when the queues should be looked at.
    pub(in crate::sources) fn held(&mut self) -> Instant {
        let now = Instant::now();
        (self.held_since, self.held_from) = (Some(now), now);
        let sampled = self.recorder.sampled_ms().map(Duration::from_millis);
        sampled.map_or(now, |sampled| now.max(self.began + sampled + LOOK_EVERY))
    }

    /// There is no demand still. Returns when to look again.
    pub(in crate::sources) fn still_held(&mut self, stream: &TcpStream, blame: Option<Blame>) -> Instant {
        let now = Instant::now();
        self.note_wait(now);
        self.held_since = Some(now);
        self.sample(stream, now, 0, blame);
        if now.duration_since(self.held_from) < LONG_HOLD {
            now + LOOK_EVERY
        } else {
            now + LONG_HOLD
        }
    }

    /// What was recorded and the age of the connection in milliseconds, once per stall that lasts: the peer may be closing now.
    pub(in crate::sources) fn stall(&mut self) -> Option<(&Recorder, u64)> {
        let (since_ms, now_ms) = (self.recorder.full_since_ms()?, self.ms(Instant::now()));
        if self.told == Some(since_ms) || now_ms - since_ms < STALLED_MS {
            return None;
        }
        self.told = Some(since_ms);
        Some((&self.recorder, now_ms))
    }

    /// There is demand again. What gathered meanwhile is looked at before it is read, because reading opens the window.
    pub(in crate::sources) fn released(&mut self, stream: &TcpStream) {
        let now = Instant::now();
        let waited = self.note_wait(now);
        self.held_since = None;
        if waited >= NOTABLE_GAP && now.duration_since(self.released_at) >= LOOK_EVERY {
            self.released_at = now;
            self.sample(stream, now, 0, None);
        }
        // What came while nothing could be read had not run dry.
        self.readable_since = now;
    }

    /// The connection broke while nothing could be read. What was recorded until then, and its age in milliseconds.
    pub(in crate::sources) fn broke(&mut self, stream: &TcpStream, blame: Option<Blame>) -> (&Recorder, u64) {
        self.still_held(stream, blame);
        let age_ms = self.ms(Instant::now());
        (&self.recorder, age_ms)
    }

    /// The end: what was recorded, and the age of the connection in milliseconds.
    ///
    /// After a `reset` the window stays where it was when that came, although all was read since: together with what the last turn found it
    /// tells how full the buffer had been, also when nobody was there to look.
    pub(in crate::sources) fn end(&mut self, stream: &TcpStream, reset: bool) -> (&Recorder, u64) {
        let found = if self.turn.reads > 0 {
            self.turn.bytes
        } else if self.last_read.elapsed() < NOTABLE_GAP {
            self.found
        } else {
            0
        };
        self.turn_ends(false);
        let end = self.last_read;
        match socket::tcp_info(stream).map(|info| info.rcv_wnd) {
            Ok(Some(window)) if reset && found > 3 * u64::from(window) => {
                let full = Sample {
                    waiting: found,
                    room: found + u64::from(window),
                    ..Sample::default()
                };
                self.recorder.sample(self.ms(end), &full, None);
            }
            _ => {}
        }
        self.sample(stream, end, 0, None);
        (&self.recorder, self.ms(end))
    }

    fn note_wait(&mut self, now: Instant) -> Duration {
        let waited = self
            .held_since
            .map_or(Duration::ZERO, |since| now.duration_since(since));
        if !waited.is_zero() {
            self.recorder.waited(self.ms(now), waited.as_millis() as u64);
        }
        waited
    }

    fn is_due(&self, now: Instant) -> bool {
        let sampled = self.recorder.sampled_ms();
        sampled.is_none_or(|sampled| self.ms(now) >= sampled + SLOT_MS)
    }

    /// Asks the kernel; `taken` bytes were unread a moment ago.
    fn sample(&mut self, stream: &TcpStream, now: Instant, taken: u64, blame: Option<Blame>) {
        let Ok(info) = socket::tcp_info(stream) else { return };
        let waiting = taken + socket::unread_bytes(stream).unwrap_or(0);
        // The window tells exactly what the peer may still send; older kernels keep it for themselves, and half of the buffer is their rule of thumb.
        let room = info.rcv_wnd.map_or_else(
            || socket::receive_buffer(stream).map_or(0, |bytes| bytes as u64 / 2),
            |window| waiting - taken + u64::from(window),
        );
        let window = info.snd_wnd.map_or(0, u64::from);
        let sample = Sample {
            waiting,
            room: room.max(waiting),
            window,
            untaken: if self.replying {
                socket::unsent_bytes(stream).unwrap_or(0)
            } else {
                0
            },
            retransmits: info.total_retransmits,
            window_end: match (info.acknowledged_bytes, info.snd_wnd) {
                (Some(acknowledged), Some(_)) if self.replying => acknowledged + window,
                _ => 0,
            },
        };
        self.recorder.sample(self.ms(now), &sample, blame);
    }

    fn ms(&self, at: Instant) -> u64 {
        at.duration_since(self.began).as_millis() as u64
    }

    /// How long the socket was readable before this read. After an empty socket that is at least the time since the last segment came.
    fn gap(&self, stream: &TcpStream, since_last: Duration) -> Duration {
        if self.left_bytes {
            return since_last;
        }
        if since_last < NOTABLE_GAP {
            return Duration::ZERO;
        }
        let waited = socket::tcp_info(stream).map_or(0, |info| info.last_data_received_ms);
        since_last.min(Duration::from_millis(waited.into()))
    }
}
