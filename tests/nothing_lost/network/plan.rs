//! What a proxy does to a connection's data.

use std::collections::VecDeque;
use std::io;
use std::sync::Mutex;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

/// The most a proxy holds of a connection's data, beside its sockets.
pub(super) const CHUNK_BYTES: usize = 16 * 1024;

/// How a connection ends before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Break {
    /// The program gets an RST when exactly so many bytes have passed (`SO_LINGER` 0, socket(7)).
    ResetAt(u64),
    /// The program gets a FIN then; what it still sends is taken.
    HalfCloseAt(u64),
}

impl Break {
    pub(super) fn at(self) -> u64 {
        let (Self::ResetAt(at) | Self::HalfCloseAt(at)) = self;
        at
    }
}

/// What it does to the data of one direction.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    /// Every piece is held back for so long.
    pub(super) latency: Option<Duration>,
    pub(super) bytes_per_second: Option<u64>,
    /// Reads and writes of so many bytes.
    pub(super) slice_bytes: Option<usize>,
    /// When so many bytes have passed, none do for so long, once.
    pub(super) stall: Option<(u64, Duration)>,
    /// One for each connection, until they are used up.
    pub(super) breaks: VecDeque<Break>,
    /// It does not listen until it is told to.
    pub(super) refuses: bool,
}

/// Passes data on, as the plan says.
pub(super) struct Pump<'a> {
    shared: &'a Mutex<Plan>,
    plan: Plan,
    next_break: Option<Break>,
    passed: u64,
}

impl<'a> Pump<'a> {
    pub(super) fn new(shared: &'a Mutex<Plan>) -> Self {
        let plan = shared.lock().unwrap().clone();
        Self {
            next_break: plan.breaks.front().copied(),
            shared,
            plan,
            passed: 0,
        }
    }

    /// Until the end of the data, or until the break.
    pub(super) async fn run(
        &mut self,
        from: &mut (impl AsyncReadExt + Unpin),
        to: &mut (impl AsyncWriteExt + Unpin),
    ) -> io::Result<Option<Break>> {
        let mut buffer = vec![0; self.plan.slice_bytes.unwrap_or(CHUNK_BYTES)];
        loop {
            if self.next_break.is_some_and(|next| next.at() <= self.passed) {
                self.shared.lock().unwrap().breaks.pop_front();
                return Ok(self.next_break.take());
            }
            let left = self.next_break.map_or(u64::MAX, |next| next.at() - self.passed);
            let room = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let bytes = from.read(&mut buffer[..room]).await?;
            if bytes == 0 {
                return Ok(None);
            }
            self.delay(bytes).await;
            to.write_all(&buffer[..bytes]).await?;
            self.passed += bytes as u64;
        }
    }

    async fn delay(&mut self, bytes: usize) {
        if let Some((_, pause)) = self.plan.stall.take_if(|(at, _)| self.passed >= *at) {
            self.shared.lock().unwrap().stall = None;
            sleep(pause).await;
        }
        if let Some(latency) = self.plan.latency {
            sleep(latency).await;
        }
        if let Some(rate) = self.plan.bytes_per_second {
            sleep(Duration::from_secs_f64(bytes as f64 / rate as f64)).await;
        }
    }
}
