//! The last minute of a connection, in slots of 100 ms.

use serde::{Deserialize, Serialize};

/// The length of a slot, in milliseconds.
pub const SLOT_MS: u64 = 100;

/// Slots kept: one minute.
pub const SLOTS: usize = 600;

/// What happened in 100 ms. Figures that do not fit stay at their highest value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Slot {
    /// Its number, counted from the beginning of the connection.
    pub at: u32,
    /// Bytes read, or written.
    pub bytes: u32,
    /// Reads, or writes.
    pub calls: u16,
    /// The longest time that bytes had waited when they were read, in milliseconds.
    pub gap_ms: u16,
    /// Time without permission to read (no demand), or in which the socket took nothing, in milliseconds.
    pub waited_ms: u16,
    /// Segments sent again.
    pub retransmits: u16,
    /// The most bytes found unread by us, or unacknowledged by the peer's kernel.
    pub waiting: u32,
    /// What there was room for when that many waited: unread bytes and advertised window, or the send buffer.
    pub room: u32,
    /// The peer's advertised window, in bytes.
    pub window: u32,
    /// Bytes of replies that the peer's kernel had not acknowledged.
    pub untaken: u32,
    /// Whoever took nothing: an index into the recorder's list, which stands in the report as `blamed`, counted from 1; 0 for nobody.
    pub blame: u8,
}

impl Slot {
    /// How full the room was, in percent; 0 when it was not looked at.
    pub fn percent(&self) -> u32 {
        percent(self.waiting, self.room)
    }
}

/// `part` of `whole` in percent, at most 100.
pub(super) fn percent(part: u32, whole: u32) -> u32 {
    let share = (u64::from(part) * 100).checked_div(whole.into());
    share.map_or(0, |share| share.min(100) as u32)
}

/// The slots of the last minute in which something happened, oldest first. It never grows past [`SLOTS`].
#[derive(Debug, Clone)]
pub struct Ring {
    slots: Vec<Slot>,
    /// Where the oldest stands once all are used.
    head: usize,
}

impl Default for Ring {
    fn default() -> Self {
        // At once and exactly, because doubling would take more. Pages that are never written cost nothing.
        Self {
            slots: Vec::with_capacity(SLOTS),
            head: 0,
        }
    }
}

impl Ring {
    /// The slot of this moment, in milliseconds since the connection began. Time does not go back: an older moment is noted in the newest slot.
    pub fn at(&mut self, now_ms: u64) -> &mut Slot {
        let at = u32::try_from(now_ms / SLOT_MS).unwrap_or(u32::MAX);
        let newest = self.newest();
        let index = match newest {
            Some(newest) if self.slots[newest].at >= at => newest,
            _ => self.push(at),
        };
        &mut self.slots[index]
    }

    /// The slots that are not older than a minute at this moment, oldest first.
    pub fn last_minute(&self, now_ms: u64) -> impl DoubleEndedIterator<Item = &Slot> {
        let oldest = (now_ms / SLOT_MS).saturating_sub(SLOTS as u64 - 1);
        let (newer, older) = self.slots.split_at(self.head);
        older
            .iter()
            .chain(newer)
            .filter(move |slot| u64::from(slot.at) >= oldest)
    }

    fn newest(&self) -> Option<usize> {
        let last = self.slots.len().checked_sub(1)?;
        Some(self.head.checked_sub(1).unwrap_or(last))
    }

    fn push(&mut self, at: u32) -> usize {
        let slot = Slot { at, ..Slot::default() };
        if self.slots.len() < SLOTS {
            self.slots.push(slot);
            return self.slots.len() - 1;
        }
        let index = self.head;
        self.slots[index] = slot;
        self.head = (index + 1) % SLOTS;
        index
    }
}
