//! What one connection notes about itself.

use super::blame::Blame;
use super::ring::{Ring, percent};

/// From this share of the room on, in percent, a buffer counts as full: a sender stalls before the window is quite zero (RFC 9293, 3.8.6.2).
const FULL_PERCENT: u32 = 75;

/// A socket that was empty for this long had run dry: what stood in it before did not hold up the peer any more.
const DRY_MS: u64 = 50;

/// Different blames kept; past it the last one stands for all others.
const BLAMES: usize = 8;

/// The kernel's queues of a connection at one moment, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sample {
    /// Unread by us (`SIOCINQ`), or not acknowledged by the peer's kernel (`SIOCOUTQ`).
    pub waiting: u64,
    /// What there is room for: unread bytes and the advertised window, or the send buffer.
    pub room: u64,
    /// The peer's advertised window; 0 where the kernel is too old to tell.
    pub window: u64,
    /// Replies not acknowledged by the peer's kernel.
    pub untaken: u64,
    /// Segments sent again since the connection began.
    pub retransmits: u32,
    /// Where the peer's window ends: bytes acknowledged and the window. It moves on only when the peer's application reads. 0: not known.
    pub window_end: u64,
}

/// The history of one connection. Times are milliseconds since it began.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    ring: Ring,
    blames: Vec<Blame>,
    /// Bytes read, or written.
    pub(super) bytes: u64,
    /// Bytes of replies sent.
    pub(super) reply_bytes: u64,
    last_bytes_ms: u64,
    last_reply_ms: Option<u64>,
    dry_ms: u64,
    full_since_ms: Option<u64>,
    last_full_ms: Option<u64>,
    retransmits: u32,
    unconfirmed: u64,
    first_window_end: u64,
    window_end: u64,
    sampled_ms: Option<u64>,
    /// Unread at the last look, and the time without demand since the last read.
    unread: u64,
    held_ms: u64,
    /// Who took nothing at the last look that found somebody.
    last_blame: u8,
}

/// What stood unread at the end, in a buffer that was not full as far as one can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Untouched<'a> {
    pub(super) bytes: u64,
    pub(super) held_ms: u64,
    pub(super) blame: Option<&'a Blame>,
}

/// A time in which a buffer was full, up to the end of the connection as far as one can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stall<'a> {
    pub(super) since_ms: u64,
    pub(super) last_ms: u64,
    pub(super) percent: u32,
    pub(super) bytes: u32,
    /// The longest time without a read, or in which the socket took nothing.
    pub(super) held_ms: u64,
    /// All time without demand.
    pub(super) waited_ms: u64,
    pub(super) blame: Option<&'a Blame>,
}

impl Recorder {
    /// Bytes were read in `calls` reads; they had waited for `gap_ms` before the first, and the socket had been empty for `empty_ms` before that.
    pub fn read(&mut self, now_ms: u64, bytes: u64, calls: u32, gap_ms: u64, empty_ms: u64) {
        if empty_ms.saturating_sub(gap_ms) >= DRY_MS {
            self.dry_ms = now_ms;
            self.full_since_ms = None;
        }
        self.moved(now_ms, bytes, calls);
        let slot = self.ring.at(now_ms);
        slot.gap_ms = slot.gap_ms.max(short(gap_ms));
    }

    /// Bytes were written: the peer takes something.
    pub fn wrote(&mut self, now_ms: u64, bytes: u64) {
        self.dry_ms = now_ms;
        self.full_since_ms = None;
        self.moved(now_ms, bytes, 1);
    }

    /// Bytes of replies were written.
    pub fn replied(&mut self, now_ms: u64, bytes: u64) {
        if bytes > 0 {
            self.reply_bytes += bytes;
            self.last_reply_ms = Some(now_ms);
        }
    }

    /// For `waited_ms` up to now there was no demand, or the socket took nothing.
    pub fn waited(&mut self, now_ms: u64, waited_ms: u64) {
        self.held_ms += waited_ms;
        let slot = self.ring.at(now_ms);
        slot.waited_ms = slot.waited_ms.saturating_add(short(waited_ms));
    }

    /// The kernel's queues, and who takes nothing from us, if somebody.
    pub fn sample(&mut self, now_ms: u64, sample: &Sample, blame: Option<Blame>) {
        let blame = blame.map_or(0, |blame| self.note_blame(blame));
        let resent = sample.retransmits.saturating_sub(self.retransmits);
        self.retransmits = sample.retransmits;
        self.sampled_ms = Some(now_ms);
        self.unread = sample.waiting;
        if sample.window_end > 0 {
            if self.first_window_end == 0 {
                self.first_window_end = sample.window_end;
            }
            self.window_end = sample.window_end;
        }
        let (waiting, room) = (whole(sample.waiting), whole(sample.room));
        if room > 0 && percent(waiting, room) >= FULL_PERCENT {
            self.full_since_ms.get_or_insert(now_ms);
            self.last_full_ms = Some(now_ms);
        }
        let slot = self.ring.at(now_ms);
        if room == 0 || percent(waiting, room) >= slot.percent() {
            (slot.waiting, slot.room) = (waiting, room);
        }
        slot.window = whole(sample.window);
        slot.untaken = whole(sample.untaken);
        slot.retransmits = slot.retransmits.saturating_add(short(resent.into()));
        if blame > 0 {
            (slot.blame, self.last_blame) = (blame, blame);
        }
    }

    /// When the queues were last looked at.
    pub fn sampled_ms(&self) -> Option<u64> {
        self.sampled_ms
    }

    /// The slots.
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Whoever a slot names.
    pub fn blame(&self, index: u8) -> Option<&Blame> {
        self.blames.get(usize::from(index).checked_sub(1)?)
    }

    /// Everybody whom slots name.
    pub fn blames(&self) -> &[Blame] {
        &self.blames
    }

    /// Time since bytes were last read or written, or since the connection began.
    pub fn silence_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.last_bytes_ms)
    }

    /// Since when the buffer has been full, if it is.
    pub fn full_since_ms(&self) -> Option<u64> {
        self.full_since_ms
    }

    pub(super) fn since_reply_ms(&self, now_ms: u64) -> Option<u64> {
        Some(now_ms.saturating_sub(self.last_reply_ms?))
    }

    /// Whether the peer's application reads our replies, as far as its window tells. A window that stands still means no. One that moves on means
    /// yes only when more replies came than the peer's kernel can hold by itself, which is about twice the first window. None: not known.
    pub(super) fn peer_reads(&self) -> Option<bool> {
        let acknowledged = self.reply_bytes.saturating_sub(self.last_untaken());
        if self.first_window_end == 0 || acknowledged == 0 {
            return None;
        }
        let moved = self.window_end.saturating_sub(self.first_window_end);
        if moved < acknowledged / 2 {
            return Some(false);
        }
        (acknowledged > 2 * self.first_window_end).then_some(true)
    }

    pub(super) fn last_untaken(&self) -> u64 {
        let newest = self.ring.last_minute(0).next_back();
        newest.map_or(0, |slot| slot.untaken.into())
    }

    /// At the end: so many bytes at most were acknowledged by the peer's kernel and are not known to be read.
    pub fn leaves_unconfirmed(&mut self, bytes: u64) {
        self.unconfirmed = bytes;
    }

    pub(super) fn unconfirmed(&self) -> u64 {
        self.unconfirmed
    }

    pub(super) fn retransmits(&self) -> u32 {
        self.retransmits
    }

    /// The stall that lasted until the end: the buffer was full, and the socket has not run dry since.
    pub(super) fn stall(&self, now_ms: u64) -> Option<Stall<'_>> {
        let (since_ms, last_ms) = (self.full_since_ms?, self.last_full_ms?);
        let slots = || {
            let stalled = move |slot: &&super::Slot| u64::from(slot.at) >= self.dry_ms / super::SLOT_MS;
            self.ring.last_minute(now_ms).filter(stalled)
        };
        let fullest = slots().max_by_key(|slot| slot.percent())?;
        if fullest.percent() < FULL_PERCENT {
            return None;
        }
        Some(Stall {
            since_ms,
            last_ms,
            percent: fullest.percent(),
            bytes: fullest.waiting,
            held_ms: slots().map(|slot| slot.gap_ms).max().unwrap_or(0).into(),
            waited_ms: slots().map(|slot| u64::from(slot.waited_ms)).sum(),
            blame: slots().rev().find_map(|slot| self.blame(slot.blame)),
        })
    }

    /// What stood unread at the last look, if anything did, and for how long there was no demand for it.
    pub(super) fn untouched(&self) -> Option<Untouched<'_>> {
        (self.unread > 0).then(|| Untouched {
            bytes: self.unread,
            held_ms: self.held_ms,
            blame: self.blame(self.last_blame),
        })
    }

    fn moved(&mut self, now_ms: u64, bytes: u64, calls: u32) {
        self.held_ms = 0;
        self.bytes += bytes;
        self.last_bytes_ms = now_ms;
        let slot = self.ring.at(now_ms);
        slot.bytes = slot.bytes.saturating_add(whole(bytes));
        slot.calls = slot.calls.saturating_add(short(calls.into()));
    }

    fn note_blame(&mut self, blame: Blame) -> u8 {
        let known = self.blames.iter().position(|known| known.actor == blame.actor);
        let index = known.unwrap_or_else(|| self.blames.len().min(BLAMES - 1));
        match self.blames.get_mut(index) {
            Some(known) => *known = blame,
            None => self.blames.push(blame),
        }
        index as u8 + 1
    }
}

fn short(value: u64) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

fn whole(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
