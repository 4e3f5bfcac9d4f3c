//! Headroom, measured while reading: how long bytes waited for us, and how many.

use std::time::{Duration, Instant};

use aqueduct_framework::plugin::Context;
use aqueduct_framework::telemetry::{Counter, Gauge};
use aqueduct_sys::socket;
use tokio::net::TcpStream;

/// Gaps below this are not looked into when the socket had been empty: asking the kernel at every small read would delay what was read.
const NOTABLE_GAP: Duration = Duration::from_millis(10);

/// The meters of one connection's reading; the peaks are those of all connections of the source.
pub(super) struct Watch {
    reads: Counter,
    longest_gap_us: Gauge,
    unread_bytes_peak: Gauge,
    receive_buffer_bytes: Gauge,
    /// When the last turn ended, or the connection began.
    last_read: Instant,
    /// The last turn left bytes behind, as far as we know.
    left_bytes: bool,
    /// No read in this turn yet.
    first: bool,
}

impl Watch {
    pub(super) fn new(context: &Context) -> Self {
        Self {
            reads: context.counter("reads"),
            longest_gap_us: context.gauge("longest_gap_us"),
            unread_bytes_peak: context.gauge("unread_bytes_peak"),
            receive_buffer_bytes: context.gauge("receive_buffer_bytes"),
            last_read: Instant::now(),
            left_bytes: false,
            first: true,
        }
    }

    pub(super) fn turn_begins(&mut self) {
        self.first = true;
    }

    /// Notes a read of `bytes`; `filled` when the buffer could take no more. The first read of a turn took what had gathered since the
    /// last, so the kernel needs to be asked only when that was more than one read.
    pub(super) fn read(&mut self, stream: &TcpStream, bytes: usize, filled: bool) {
        self.reads.add(1);
        if !std::mem::take(&mut self.first) {
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
        self.longest_gap_us.raise(self.gap(stream).as_micros() as u64);
    }

    pub(super) fn turn_ends(&mut self, left_bytes: bool) {
        self.left_bytes = left_bytes;
        self.last_read = Instant::now();
    }

    /// How long the socket was readable before this read. After an empty socket that is at least the time since the last segment came.
    fn gap(&self, stream: &TcpStream) -> Duration {
        let since_last = self.last_read.elapsed();
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
